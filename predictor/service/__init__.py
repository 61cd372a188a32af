"""What every transport calls: API keys, tokens and scopes; the memory budget and threads; predictions."""
