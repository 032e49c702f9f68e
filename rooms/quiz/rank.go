package quiz

import (
	"cmp"
	"math"
	"slices"
	"strconv"

	"lectern/protocol/wire"
	"lectern/rooms/effect"
)

// board is the order of the participants.
type board struct {
	order  []int32         // players, best first, without the removed ones
	ranks  []wire.QuizRank // by player, as of the last results; never written to again, because messages point into it
	places []place         // memory of the sort, kept for the next
	stale  bool            // somebody joined or was removed since order was made
}

// place is what the order is made of: the sort stays in one piece of memory instead of visiting the players.
type place struct {
	key    uint64 // high half: score, inverted, so that more comes first; low half: total answer time
	player int32
}

// givenMax is the number of different answers in a distribution.
const givenMax = 12

// tally judges every answer to question n and makes its results, in O(answers). Participants who had been removed by
// its close are left out, also when it is judged again later.
func (q *question) tally(n int, players []player) *wire.QuizResults {
	r := &wire.QuizResults{Number: n, Type: q.spec.Type, Explanation: q.spec.Explanation, Void: q.void}
	if !q.void {
		r.Key = q.key()
	}
	switch q.spec.Type {
	case wire.SingleChoice, wire.MultipleChoice, wire.Poll:
		r.Counts = make([]int, len(q.spec.Options))
	case wire.TrueFalse:
		r.Counts = make([]int, 2)
	}
	byText := make([]outcome, len(q.texts))
	textCounts := make([]int, len(q.texts))
	for i, t := range q.texts {
		byText[i] = q.outcomeOf(uint64(i), t)
	}
	for i := range q.answers {
		a := &q.answers[i]
		if len(q.texts) > 0 {
			a.outcome = byText[a.value]
		} else {
			a.outcome = q.outcomeOf(a.value, "")
		}
		if p := &players[a.player]; p.removed && int(p.removedAt) < n {
			continue
		}
		r.Answered++
		if a.outcome == outcomeCorrect {
			r.Correct++
		}
		switch {
		case len(q.texts) > 0:
			textCounts[a.value]++
		case q.spec.Type == wire.MultipleChoice:
			for o := range r.Counts {
				r.Counts[o] += int(a.value >> o & 1)
			}
		case a.value < uint64(len(r.Counts)):
			r.Counts[a.value]++
		}
	}
	r.Given = q.distribution(byText, textCounts)
	return r
}

// key is QuizResults.Key.
func (q *question) key() []string {
	var key []string
	switch q.spec.Type {
	case wire.SingleChoice, wire.MultipleChoice:
		for i, o := range q.spec.Options {
			if o.Correct {
				key = append(key, strconv.Itoa(i))
			}
		}
	case wire.TrueFalse:
		if q.spec.Correct != nil {
			key = append(key, strconv.FormatBool(*q.spec.Correct))
		}
	case wire.Numeric:
		for _, n := range q.spec.Numbers {
			s := formatNumber(n.Min)
			if n.Max != n.Min {
				s += "–" + formatNumber(n.Max)
			}
			key = append(key, s)
		}
	case wire.ShortText:
		key = q.spec.Texts
	}
	return key
}

// distribution joins texts that count as the same, under the form first given, and keeps the most frequent: right
// ones first.
func (q *question) distribution(judged []outcome, counts []int) []wire.GivenAnswer {
	var given []wire.GivenAnswer
	at := make(map[string]int)
	for i, t := range q.texts {
		if counts[i] == 0 {
			continue
		}
		folded := foldText(t, q.spec.CaseMatters)
		j, ok := at[folded]
		if !ok {
			j = len(given)
			at[folded] = j
			given = append(given, wire.GivenAnswer{Answer: t, Correct: judged[i] == outcomeCorrect})
		}
		given[j].Count += counts[i]
	}
	slices.SortStableFunc(given, func(a, b wire.GivenAnswer) int {
		if a.Correct != b.Correct {
			if a.Correct {
				return -1
			}
			return 1
		}
		return cmp.Compare(b.Count, a.Count)
	})
	return given[:min(len(given), givenMax)]
}

// outcomeOf is how an answer fares: judge, or void where nothing counts.
func (q *question) outcomeOf(value uint64, text string) outcome {
	if q.void {
		return outcomeVoid
	}
	o, _, _ := q.judge(value, text)
	return o
}

// settle pays the question's answers.
func (m *Machine) settle(q *question) {
	for i := range m.players {
		p := &m.players[i]
		p.delta = 0
		if q.counts() {
			m.pay(q, p, q.answerOf(int32(i)))
		}
	}
}

// rank ranks everybody after q, the last question with results. The slice it returns is new, by player.
func (m *Machine) rank(q *question) []wire.QuizRank {
	ranks := make([]wire.QuizRank, len(m.players))
	for i := range m.players {
		p, r := &m.players[i], &ranks[i]
		r.Number, r.Outcome = m.scored, outcomeNone.String()
		r.Score, r.Points, r.Streak = int(p.score), int(p.delta), int(p.streak)
		if q.void {
			r.Outcome = outcomeVoid.String()
		}
		if a := q.answerOf(int32(i)); a != nil && q.counts() {
			r.Outcome, r.ElapsedMs = a.outcome.String(), int64(a.elapsedMs)
		}
	}
	m.sortBoard()
	ahead := int32(-1) // the last one with a better score
	for pos, i := range m.board.order {
		r := &ranks[i]
		if pos > 0 && m.players[m.board.order[pos-1]].score > m.players[i].score {
			ahead = m.board.order[pos-1]
		}
		r.Rank, r.Of = int(m.players[i].rank), len(m.board.order)
		if ahead >= 0 {
			r.Behind = int(m.players[ahead].score - m.players[i].score)
			r.Ahead = m.players[ahead].name
		}
	}
	m.board.ranks = ranks
	return ranks
}

// pay gives a participant the points of its answer (nil: none) and keeps the streak.
func (m *Machine) pay(q *question, p *player, a *answer) {
	if q.spec.Type == wire.Poll {
		return
	}
	if a == nil {
		p.streak = 0
		return
	}
	p.answerMs = int32(min(int64(p.answerMs)+int64(a.elapsedMs), math.MaxInt32))
	picked, right := 1, 1
	if q.spec.Type == wire.MultipleChoice {
		_, picked, right = q.judge(a.value, "")
	}
	if a.outcome == outcomeCorrect {
		p.streak++
	} else {
		p.streak = 0
	}
	if a.outcome != outcomeCorrect && a.outcome != outcomePartial {
		return
	}
	points := Score(m.quiz.Settings.Scoring, q.points(), int64(a.elapsedMs), q.limitMs(),
		q.spec.Type == wire.MultipleChoice, picked, right)
	if points > 0 && m.quiz.Settings.StreakBonus && a.outcome == outcomeCorrect {
		points += StreakBonus(int(p.streak))
	}
	a.points = int32(points)
	p.delta = a.points
	p.score += a.points
}

func (q *question) points() int {
	switch {
	case q.spec.Type == wire.Poll:
		return 0
	case q.spec.Points == nil:
		return pointsDefault
	}
	return *q.spec.Points
}

// sortBoard makes the order anew: by score, then total answer time, then joining. Equal scores share a rank (1, 2,
// 2, 4).
func (m *Machine) sortBoard() {
	places := m.board.places[:0]
	for i := range m.players {
		if p := &m.players[i]; !p.removed {
			key := uint64(^uint32(p.score))<<32 | uint64(uint32(p.answerMs))
			places = append(places, place{key: key, player: int32(i)})
		}
	}
	slices.SortFunc(places, func(a, b place) int {
		if c := cmp.Compare(a.key, b.key); c != 0 {
			return c
		}
		return cmp.Compare(a.player, b.player)
	})
	order := m.board.order[:0]
	for _, p := range places {
		order = append(order, p.player)
	}
	m.board.places = places
	for pos, i := range order {
		p := &m.players[i]
		p.rank = int32(pos + 1)
		if pos > 0 && m.players[order[pos-1]].score == p.score {
			p.rank = m.players[order[pos-1]].rank
		}
	}
	m.board.order, m.board.stale = order, false
}

// leaderboard is the top of the order of the moment. Before the first results it is empty.
func (m *Machine) leaderboard() *wire.QuizLeaderboard {
	l := &wire.QuizLeaderboard{Number: m.scored, Top: []wire.RankEntry{}, Participants: len(m.byUser)}
	if m.scored == 0 {
		return l
	}
	if m.board.stale {
		m.sortBoard()
	}
	top := m.quiz.Settings.LeaderboardTop
	if top <= 0 {
		top = leaderboardTopDefault
	}
	for _, i := range m.board.order[:min(top, leaderboardTopMax, len(m.board.order))] {
		p := &m.players[i]
		l.Top = append(l.Top, wire.RankEntry{
			Rank: int(p.rank), User: p.user, Name: p.name, Score: int(p.score), Delta: int(p.delta),
		})
	}
	return l
}

// sendRanks tells every participant its own standing.
func (m *Machine) sendRanks(at int64, ranks []wire.QuizRank, out *effect.Effects) {
	out.Outputs = slices.Grow(out.Outputs, len(m.board.order))
	for _, i := range m.board.order {
		out.User(m.players[i].user, wire.EvQuizRank, at, &ranks[i])
	}
}
