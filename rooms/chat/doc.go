// Package chat is the chat of one room as an event-sourced machine: send, edit, delete, react, pin, history, mentions,
// typing and slow mode. Who may write and what may be written is decided by a Policy that the room passes in, so the
// machine knows nothing of moderation.
//
// Facts: chat.sent, chat.edited, chat.deleted, chat.reacted, chat.pinned. Applying a fact is the only way state
// changes; typing is volatile and leaves no fact.
//
// Bounds of one room (unit, overflow rule): MessagesMax messages (the oldest goes, with its text and its idempotency
// key; a pinned one stays until it is taken down), PinsMax pins (refused), 20 different emojis of a message (refused),
// ReactionsMax reactions kept in all (refused), 10 mentions of a message (later ones stay plain text), one typing
// event a second and user (dropped).
//
// A Machine is not safe for more than one goroutine; it belongs to its room's shard.
package chat
