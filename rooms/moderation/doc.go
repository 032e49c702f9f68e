// Package moderation decides who may be in a room and write there, and what may be written.
//
// Machine is event-sourced: mute, ban, kick, slow mode and lockdown are commands of staff, and each act is recorded as
// a fact with who did it, to whom, until when and why; these facts are the audit log. A moderator acts only on lower
// roles. The machine does not remove anybody: the room looks at the facts of a step with Removal and takes the
// connections out.
//
// Filter finds unwanted words in text however they are disguised (width, homoglyphs, leet, spacing, zero-width
// characters, repeated letters), and leaves innocent words that contain them alone. A Filter is immutable after
// NewFilter and may be used from any goroutine; a Machine belongs to its room's shard.
//
// Bounds (unit, overflow rule): MutesMax mutes and BansMax bans of a room (a further one is refused), 200 characters
// of a reason (cut), 64 matches of one Check (the rest is not reported), 10 link hosts of a text (the rest is not
// listed).
package moderation
