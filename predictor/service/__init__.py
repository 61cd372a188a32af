"""The inference service that every transport calls: authorization, limits, prediction and counting."""
