-- Saved chats and their folders.

-- Stored responses.

-- Tool servers.
