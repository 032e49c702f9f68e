package wire

import "encoding/json"

// QuestionType is the kind of a question.
type QuestionType string

// The kinds that can be played live.
const (
	SingleChoice   QuestionType = "single_choice"
	MultipleChoice QuestionType = "multiple_choice"
	TrueFalse      QuestionType = "true_false"
	Numeric        QuestionType = "numeric"
	ShortText      QuestionType = "short_text"
	Poll           QuestionType = "poll"
)

// Playable is true for the kinds above.
func (t QuestionType) Playable() bool {
	switch t {
	case SingleChoice, MultipleChoice, TrueFalse, Numeric, ShortText, Poll:
		return true
	}
	return false
}

// Quiz is a question set as it is stored, imported, exported and given to quiz:create. It holds the key, so it goes to
// its host only.
type Quiz struct {
	ID        string       `json:"id,omitempty"`
	Title     string       `json:"title"`
	Language  string       `json:"language,omitempty"` // BCP 47
	Settings  QuizSettings `json:"settings,omitzero"`
	Questions []Question   `json:"questions"`
}

// QuizSettings are the rules of a game. The zero value is the usual game.
type QuizSettings struct {
	Scoring        string `json:"scoring,omitempty"`        // kahoot (default) | linear | flat | wayground
	StreakBonus    bool   `json:"streakBonus,omitempty"`    // pay for correct answers in a row
	LeaderboardTop int    `json:"leaderboardTop,omitempty"` // 1–100, default 5
	AutoAdvance    bool   `json:"autoAdvance,omitempty"`    // results and the next question follow by themselves
	LateJoin       *bool  `json:"lateJoin,omitempty"`       // default true
}

// Question is one question with its key.
type Question struct {
	ID          string        `json:"id,omitempty"`
	Type        QuestionType  `json:"type"`
	Text        string        `json:"text"`
	Options     []Option      `json:"options,omitempty"`     // choices, polls; true_false: empty (True, False is meant)
	Correct     *bool         `json:"correct,omitempty"`     // true_false
	Numbers     []NumberRange `json:"numbers,omitempty"`     // numeric: any of these is right
	Texts       []string      `json:"texts,omitempty"`       // short_text: any is right; * is a wildcard, \* a star
	CaseMatters bool          `json:"caseMatters,omitempty"` // short_text
	TimeLimitMs int64         `json:"timeLimitMs,omitempty"` // 1,000–600,000, default 20,000
	Points      *int          `json:"points,omitempty"`      // 0–10,000, default 1,000; polls pay nothing
	Explanation string        `json:"explanation,omitempty"` // shown with the results
	Category    string        `json:"category,omitempty"`
}

// Option is one choice. Its id on the wire is its index in the question as a decimal string.
type Option struct {
	Text     string `json:"text"`
	Correct  bool   `json:"correct,omitempty"`
	Feedback string `json:"feedback,omitempty"`
}

// NumberRange is an accepted interval of a numeric answer, both ends included.
type NumberRange struct {
	Min float64 `json:"min"`
	Max float64 `json:"max"`
}

// PublicOption is what a participant sees of an Option.
type PublicOption struct {
	ID   string `json:"id"`
	Text string `json:"text"`
}

// QuestionView is a question as participants get it: no key. It is the data of quiz:question.
type QuestionView struct {
	Number   int            `json:"number"` // from 1
	Of       int            `json:"of"`     // number of questions in the quiz
	Type     QuestionType   `json:"type"`
	Text     string         `json:"text"`
	Options  []PublicOption `json:"options,omitempty"`
	Points   int            `json:"points"`
	OpensAt  int64          `json:"opensAt"`
	ClosesAt int64          `json:"closesAt"`
}

// QuizTime is the data of quiz:time, quiz:paused and quiz:resumed.
type QuizTime struct {
	Number      int   `json:"number"`
	OpensAt     int64 `json:"opensAt,omitempty"`
	ClosesAt    int64 `json:"closesAt,omitempty"`
	RemainingMs int64 `json:"remainingMs,omitempty"` // while paused
}

// QuizProgress is the data of quiz:progress.
type QuizProgress struct {
	Number       int `json:"number"`
	Answered     int `json:"answered"`
	Participants int `json:"participants"`
}

// QuizResults is the data of quiz:results.
type QuizResults struct {
	Number      int           `json:"number"`
	Type        QuestionType  `json:"type"`
	Answered    int           `json:"answered"`
	Correct     int           `json:"correct"`          // participants who were right
	Counts      []int         `json:"counts,omitempty"` // per option, in order; true_false: false, true
	Key         []string      `json:"key,omitempty"`    // right options; "true"/"false"; else accepted texts, ranges
	Given       []GivenAnswer `json:"given,omitempty"`  // numeric, short_text: the most frequent, at most 12, right first
	Explanation string        `json:"explanation,omitempty"`
	Void        bool          `json:"void,omitempty"`     // the question counts no more: no key, nobody was right
	Regraded    bool          `json:"regraded,omitempty"` // sent because of quiz:regrade: the phase has not changed
}

// GivenAnswer is one row of the distribution of a free answer.
type GivenAnswer struct {
	Answer  string `json:"answer"`
	Count   int    `json:"count"`
	Correct bool   `json:"correct,omitempty"`
}

// RankEntry is one row of a leaderboard. Equal scores share a rank (1, 2, 2, 4); within equal scores the order is
// by total answer time, then by order of joining.
type RankEntry struct {
	Rank  int    `json:"rank"`
	User  string `json:"user"`
	Name  string `json:"name"`
	Score int    `json:"score"`
	Delta int    `json:"delta,omitempty"` // points of the last question
}

// QuizLeaderboard is the data of quiz:leaderboard and, as the podium, of quiz:end.
type QuizLeaderboard struct {
	Number       int         `json:"number"` // question it follows
	Top          []RankEntry `json:"top"`
	Participants int         `json:"participants"`
	Regraded     bool        `json:"regraded,omitempty"` // sent because of quiz:regrade: the phase has not changed
}

// QuizRank is the data of quiz:rank: one participant's own standing after a question.
type QuizRank struct {
	Number    int    `json:"number"`
	Rank      int    `json:"rank"`
	Of        int    `json:"of"`
	Score     int    `json:"score"`
	Points    int    `json:"points"`           // earned with this question, streak bonus included
	Outcome   string `json:"outcome"`          // correct | partial | wrong | none (no answer) | poll | void
	Streak    int    `json:"streak"`           // correct answers in a row
	Behind    int    `json:"behind,omitempty"` // points to the next better score
	Ahead     string `json:"ahead,omitempty"`  // name of the participant just ahead
	ElapsedMs int64  `json:"elapsedMs"`        // of this answer
}

// QuizPhase is the state of the game as clients see it.
type QuizPhase string

// The phases.
const (
	PhaseNone        QuizPhase = "none" // the room has no quiz
	PhaseLobby       QuizPhase = "lobby"
	PhaseOpen        QuizPhase = "open"
	PhaseClosed      QuizPhase = "closed"
	PhaseResults     QuizPhase = "results"
	PhaseLeaderboard QuizPhase = "leaderboard"
	PhaseEnded       QuizPhase = "ended"
	PhasePaused      QuizPhase = "paused"
)

// QuizSnapshot is the quiz part of a room's snapshot and the reply to quiz:state: everything a page needs to draw
// itself.
type QuizSnapshot struct {
	Phase        QuizPhase        `json:"phase"`
	Title        string           `json:"title,omitempty"`
	PIN          string           `json:"pin,omitempty"`
	Locked       bool             `json:"locked,omitempty"`
	Questions    int              `json:"questions,omitempty"`
	Participants int              `json:"participants"`
	Question     *QuestionView    `json:"question,omitempty"` // the current one, from open on
	RemainingMs  int64            `json:"remainingMs,omitempty"`
	Progress     *QuizProgress    `json:"progress,omitempty"`
	Results      *QuizResults     `json:"results,omitempty"`
	Leaderboard  *QuizLeaderboard `json:"leaderboard,omitempty"`
	Void         []int            `json:"void,omitempty"` // numbers of the questions that count no more
	Me           *QuizMe          `json:"me,omitempty"`   // participants
	Quiz         *Quiz            `json:"quiz,omitempty"` // hosts only
}

// QuizMe is what a participant who comes back must know of itself.
type QuizMe struct {
	Name     string          `json:"name"`
	Answered bool            `json:"answered"`         // the current question
	Answer   json.RawMessage `json:"answer,omitempty"` // as given
	Receipt  string          `json:"receipt,omitempty"`
	Rank     *QuizRank       `json:"rank,omitempty"` // of the last question with results

	Claims *ReceiptClaims `json:"-"` // of a receipt that is yet to be signed, as in AnswerReply
}

// QuizLobby is the data of quiz:lobby.
type QuizLobby struct {
	Participants int      `json:"participants"`
	Joined       []string `json:"joined,omitempty"` // names of the newest, at most 30
}

// QuizStart is the data of quiz:start.
type QuizStart struct {
	Title        string `json:"title"`
	Questions    int    `json:"questions"`
	Participants int    `json:"participants"`
}

// QuizLocked is the data of quiz:locked.
type QuizLocked struct {
	Locked bool `json:"locked"`
}
