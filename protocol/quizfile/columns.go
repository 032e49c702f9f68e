package quizfile

import (
	"regexp"
	"strings"
)

// role is what a column of a table holds.
type role uint8

const (
	roleNone role = iota
	roleQuestion
	roleOption
	roleWrong   // an answer that is wrong by its column: "Incorrect answer 1"
	roleCorrect // the key: number, letter, text or a list of them
	roleTime    // seconds
	rolePoints
	roleExplanation
	roleType
	roleCategory
	rolePicture
	roleNumber
	roleMultiple // "yes" when several answers are right
)

// The wordings of headers, after normalHeader. English and German; a few more where they cost nothing.
var headerWords = []struct {
	role role
	re   *regexp.Regexp
}{
	{roleNumber, regexp.MustCompile(`^(question|frage|item)? ?(number|no|nr|num|id|nummer)$|^lfd ?nr$`)},
	{roleWrong, regexp.MustCompile(`^(incorrect|wrong|false|falsche|falsch|distractor|distraktor)` +
		`( answers?| options?| choice| antwort(en)?)? ?[0-9a-z]?$`)},
	{roleMultiple, regexp.MustCompile(`^(multiple answers|mehrere antworten|multi select)$`)},
	{roleCorrect, regexp.MustCompile(`^(correct|right|richtige?|korrekte?|lösung|loesung|solution|key|answer key|` +
		`antwortschlüssel|respuesta correcta|bonne réponse|risposta corretta)\b`)},
	{roleOption, regexp.MustCompile(`^(answer|option|choice|antwort|antwortmöglichkeit|auswahl|auswahlmöglichkeit|` +
		`opción|opcion|respuesta|réponse|reponse|risposta|antwoord|alternative|wahl)` +
		`( ?(text|option))? ?([0-9]{1,2}|[a-l])( max.*)?$`)},
	{roleOption, regexp.MustCompile(`^[a-h]$`)},
	{roleTime, regexp.MustCompile(`^(time|zeit|seconds|sekunden|duration|dauer|timer|tiempo)\b|` +
		`^(zeitlimit|zeitbegrenzung|antwortzeit)\b`)},
	{rolePoints, regexp.MustCompile(`^(points?|punkte|punktzahl|score|puntos)$`)},
	{roleExplanation, regexp.MustCompile(`^(explanation|erklärung|erläuterung|begründung|feedback|general feedback|` +
		`answer explanation|explicación|rationale|hinweis)$`)},
	{roleType, regexp.MustCompile(`^(question |frage)?(type|typ|art|kind)$`)},
	{roleCategory, regexp.MustCompile(`^(category|kategorie|topic|thema|subject|fach|tags?)$`)},
	{rolePicture, regexp.MustCompile(`^(image|bild|picture|photo|video|media|image link|image url|bild url|audio)\b`)},
	{roleQuestion, regexp.MustCompile(`^(question|frage|fragetext|fragentext|text|stem|prompt|pregunta|domanda|` +
		`vraag|term|begriff|` +
		`front|vorderseite|aufgabe|question text|question stem|question title|frage text)( max.*)?$`)},
	{roleCorrect, regexp.MustCompile(`^(answers?|antwort(en)?|back|rückseite|definition|respuesta|réponse|risposta)$`)},
}

var (
	inBrackets  = regexp.MustCompile(`\([^)]*\)|\[[^\]]*\]`)
	notWord     = regexp.MustCompile(`[^\p{L}\p{N}]+`)
	letterDigit = regexp.MustCompile(`(\p{L})([0-9])`)
)

// normalHeader makes "Correct Answer(s)\n(Only include Answer #)" into "correct answers".
func normalHeader(s string) string {
	s = strings.ToLower(strings.TrimSpace(s))
	s = strings.ReplaceAll(s, "(s)", "s")
	s = strings.ReplaceAll(s, "#", " number ")
	s = inBrackets.ReplaceAllString(s, " ")
	s = letterDigit.ReplaceAllString(s, "$1 $2")
	return strings.TrimSpace(notWord.ReplaceAllString(s, " "))
}

// columns maps the columns of a table to their roles.
type columns struct {
	question, correct, time, points, explanation, kind, category, picture, multiple int
	options, wrong                                                                  []int
	titles                                                                          []string // normalised
	width                                                                           int      // of the header
}

func noColumns() columns {
	return columns{
		question: -1, correct: -1, time: -1, points: -1, explanation: -1, kind: -1, category: -1,
		picture: -1, multiple: -1,
	}
}

// readHeader recognises a header: it names the question and at least an answer or the key.
func readHeader(r row) (columns, bool) {
	cols := noColumns()
	cols.width = len(r.cells)
	single := map[role]*int{
		roleQuestion: &cols.question, roleCorrect: &cols.correct, roleTime: &cols.time,
		rolePoints: &cols.points, roleExplanation: &cols.explanation, roleType: &cols.kind,
		roleCategory: &cols.category, rolePicture: &cols.picture, roleMultiple: &cols.multiple,
	}
	for i, cell := range r.cells {
		name := normalHeader(cell)
		cols.titles = append(cols.titles, name)
		switch ro := roleOf(name); ro {
		case roleNone, roleNumber:
		case roleOption:
			cols.options = append(cols.options, i)
		case roleWrong:
			cols.wrong = append(cols.wrong, i)
		default:
			if at := single[ro]; *at < 0 {
				*at = i
			}
		}
	}
	return cols, cols.question >= 0 && (cols.correct >= 0 || len(cols.options) > 0)
}

func roleOf(name string) role {
	if name == "" || len(name) > 80 {
		return roleNone
	}
	for _, h := range headerWords {
		if h.re.MatchString(name) {
			return h.role
		}
	}
	return roleNone
}
