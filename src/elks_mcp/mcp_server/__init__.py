"""The front door for assistants: tools, prompts and the server they hang on."""
