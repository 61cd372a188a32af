"""One module for each protocol: native, V1, V2, feedback, health, repository; and which path is whose."""
