"""OpenAI's chats, and servers that have them: `/v1/chat/completions`."""
