//! Test doubles and leak assertions for code that handles OpenAI API keys.
