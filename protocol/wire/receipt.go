package wire

// ReceiptClaims is what a receipt says: that this participant's answer to this question of this room was accepted then.
// It names the answer by a commitment only, so a receipt can be shown around without telling what was answered.
//
// A receipt is a JWS in compact form (RFC 7515) with these members as its payload, signed with Ed25519 (RFC 8037), typ
// "receipt+jwt". The JSON is written in this order, so that equal claims make equal receipts.
type ReceiptClaims struct {
	ID       string `json:"jti"` // the receipt's number: 16 characters of base32, for people and exports
	Room     string `json:"room"`
	Question int    `json:"q"`   // number of the question, from 1
	User     string `json:"sub"` // the participant
	At       int64  `json:"at"`  // accepted, Unix milliseconds
	// Digest is the first 16 bytes of SHA-256 over the receipt's secret salt (10 bytes, in the log only) and the answer in
	// its canonical form, as base64url without padding.
	Digest string `json:"dig"`

	Key string `json:"-"` // kid: the id of the key that signs it
}

// Verdicts on a receipt.
const (
	ReceiptValid    = "valid"      // signed by this server, and its answer is in the log
	ReceiptInvalid  = "invalid"    // not a receipt of this server
	ReceiptNotInLog = "not_in_log" // signed by this server, but the log has no such answer
)

// ReceiptVerdict is what the log says about a receipt. It holds nothing of the answer and of how it fared.
type ReceiptVerdict struct {
	Verdict string `json:"verdict"` // valid | invalid | not_in_log
	// Counts is true when the answer counts. Reason says why it does not, or why the receipt is no good: malformed,
	// unsigned, unknown_key, signature, unknown_room, no_answer, differs, removed, void, skipped.
	Counts     bool   `json:"counts"`
	Reason     string `json:"reason,omitempty"`
	Message    string `json:"message"`          // the same for people
	Number     string `json:"number,omitempty"` // the receipt's number
	Room       string `json:"room,omitempty"`
	Title      string `json:"title,omitempty"` // the quiz's, when the room is known
	Question   int    `json:"question,omitempty"`
	User       string `json:"user,omitempty"`
	Name       string `json:"name,omitempty"` // the participant's, when it is in the log
	AcceptedAt int64  `json:"acceptedAt,omitempty"`
}
