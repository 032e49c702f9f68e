package api

import (
	"strconv"
	"strings"

	"lectern/protocol/quizfile"
	"lectern/protocol/wire"
	"lectern/rooms"
	"lectern/rooms/quiz"
)

// resultTable turns the game's own table into the one that spreadsheets are made from.
func resultTable(r *rooms.Results) quizfile.ResultTable {
	t := quizfile.ResultTable{Title: r.Title}
	for i := range r.Table.Questions {
		t.Questions = append(t.Questions, resultQuestion(&r.Table.Questions[i]))
	}
	for _, p := range r.Table.Participants {
		row := quizfile.ResultRow{Rank: p.Rank, Name: p.Name, Score: int64(p.Score)}
		for _, a := range p.Answers {
			outcome := a.Outcome
			if outcome == "none" || outcome == "poll" {
				outcome = ""
			}
			row.Answers = append(row.Answers, quizfile.ResultAnswer{
				Answer: a.Answer, Outcome: outcome, Points: int64(a.Points), ElapsedMs: a.ElapsedMs,
			})
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

func resultQuestion(q *quiz.TableQuestion) quizfile.ResultQuestion {
	out := quizfile.ResultQuestion{Text: q.Text, Type: string(q.Results.Type), Correct: strings.Join(keyTexts(q), "; ")}
	if q.Results.Void {
		out.Correct = "void"
	}
	right := make(map[string]bool, len(q.Results.Key))
	for _, k := range q.Results.Key {
		right[k] = true
	}
	for i, n := range q.Results.Counts {
		text := optionText(q, i)
		out.Distribution = append(out.Distribution, quizfile.ResultCount{Answer: text, Count: n, Correct: right[optionID(q,
			i)]})
	}
	for _, g := range q.Results.Given {
		out.Distribution = append(out.Distribution, quizfile.ResultCount{
			Answer: g.Answer, Count: g.Count,
			Correct: g.Correct,
		})
	}
	return out
}

// keyTexts is the key in words: ids of options become their texts.
func keyTexts(q *quiz.TableQuestion) []string {
	var texts []string
	for _, k := range q.Results.Key {
		text := k
		for i := range q.Options {
			if optionID(q, i) == k {
				text = q.Options[i]
			}
		}
		texts = append(texts, text)
	}
	return texts
}

func optionText(q *quiz.TableQuestion, i int) string {
	if i < len(q.Options) {
		return q.Options[i]
	}
	return optionID(q, i)
}

// optionID is what stands in the key for the i-th count.
func optionID(q *quiz.TableQuestion, i int) string {
	if q.Results.Type == wire.TrueFalse {
		return [...]string{"false", "true"}[min(i, 1)]
	}
	return strconv.Itoa(i)
}
