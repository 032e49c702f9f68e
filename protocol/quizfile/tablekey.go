package quizfile

import (
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"lectern/protocol/wire"
)

var (
	keySeparator = regexp.MustCompile(`\s*[,;/|&\n]\s*|\s+(?:and|und|or|oder)\s+|\s+`)
	wholeNumber  = regexp.MustCompile(`^([0-9]{1,3})(?:[.,]0+)?$`)
	twoNumbers   = regexp.MustCompile(`^([0-9]+(?:\.[0-9])+)$`)
	oneLetter    = regexp.MustCompile(`^\(?([A-Za-z])[.)]?$`)
	answerPrefix = regexp.MustCompile(`(?i)^(answer|option|antwort|choice)\s*`)
)

// keyNumbers reads "1", "1.0", "1,3", "2 ; 4".
func keyNumbers(key string) ([]int, bool) {
	if m := wholeNumber.FindStringSubmatch(key); m != nil {
		n, _ := strconv.Atoi(m[1])
		return []int{n}, true
	}
	var out []int
	for _, part := range keySeparator.Split(strings.TrimSpace(key), -1) {
		m := wholeNumber.FindStringSubmatch(answerPrefix.ReplaceAllString(part, ""))
		if m == nil {
			if part == "" {
				continue
			}
			return nil, false
		}
		n, _ := strconv.Atoi(m[1])
		out = append(out, n)
	}
	return out, len(out) > 0
}

// key reads the key of a row as numbers of answers, from 1. The order: numbers when the whole column is made of them,
// an answer's text, numbers, letters, a list of texts.
func (t *table) key(d *draft, r row, key string) (right []int, reason string) {
	if t.numeric {
		numbers, _ := keyNumbers(key)
		return t.checked(r, numbers)
	}
	if n := t.byText(r, key); n > 0 {
		return []int{n}, ""
	}
	if numbers, ok := t.sheetNumbers(d, key); ok {
		return t.checked(r, numbers)
	}
	if numbers, ok := keyNumbers(key); ok {
		return t.checked(r, numbers)
	}
	if letters, ok := keyLetters(key); ok && slices.Max(letters) <= len(t.cols.options) {
		return t.checked(r, letters)
	}
	for _, sep := range []string{"\n", ";", "|", ","} {
		parts := strings.Split(key, sep)
		if len(parts) < 2 {
			continue
		}
		var out []int
		for _, p := range parts {
			n := t.byText(r, p)
			if n == 0 {
				out = nil
				break
			}
			out = append(out, n)
		}
		if out != nil {
			return out, ""
		}
	}
	return nil, "the right answer " + strconv.Quote(clip(key, 60)) + " is not among the answers"
}

// checked refuses numbers beyond the answers and of empty ones.
func (t *table) checked(r row, numbers []int) ([]int, string) {
	for _, n := range numbers {
		if n < 1 || n > len(t.cols.options) {
			return nil, "the right answer is number " + strconv.Itoa(n) + ", but there are only " +
				strconv.Itoa(len(t.places(r))) + " answers"
		}
		if strings.TrimSpace(r.cell(t.cols.options[n-1])) == "" {
			return nil, "the right answer is number " + strconv.Itoa(n) + ", which is empty"
		}
	}
	return numbers, ""
}

func (t *table) byText(r row, key string) int {
	key = oneLine(key)
	for _, same := range []func(a, b string) bool{func(a, b string) bool { return a == b }, strings.EqualFold} {
		for i, at := range t.cols.options {
			if text := oneLine(r.cell(at)); text != "" && same(text, key) {
				return i + 1
			}
		}
	}
	return 0
}

func keyLetters(key string) ([]int, bool) {
	var out []int
	for _, part := range keySeparator.Split(strings.TrimSpace(key), -1) {
		m := oneLetter.FindStringSubmatch(answerPrefix.ReplaceAllString(part, ""))
		if m == nil {
			return nil, false
		}
		out = append(out, int(strings.ToUpper(m[1])[0]-'A')+1)
	}
	return out, len(out) > 0
}

// sheetNumbers undoes what a spreadsheet's locale does to a key such as 1,3: the number 1.3, or a date.
func (t *table) sheetNumbers(d *draft, key string) ([]int, bool) {
	if !t.sheet || wholeNumber.MatchString(key) && len(key) < 5 {
		return nil, false
	}
	var out []int
	if twoNumbers.MatchString(key) {
		for _, part := range strings.Split(key, ".") {
			n, _ := strconv.Atoi(part)
			if n < 1 || n > len(t.cols.options) {
				return nil, false
			}
			out = append(out, n)
		}
	} else if serial, err := strconv.ParseFloat(key, 64); err == nil && serial > 30000 && serial < 80000 {
		month, day := monthAndDay(int(serial))
		if month > len(t.cols.options) || day > len(t.cols.options) {
			return nil, false
		}
		out = []int{day, month}
	}
	if out == nil {
		return nil, false
	}
	d.warnf("the right answer %q was read as the answers %v", key, out)
	return out, true
}

// monthAndDay converts a spreadsheet's day number (1900 system) by the civil calendar's arithmetic (days from 1 March
// 0000 in eras of 400 years).
func monthAndDay(serial int) (month, day int) {
	z := serial - 25569 + 719468 // to the Unix epoch, then to 0000-03-01
	doe := z - z/146097*146097
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	day = doy - (153*mp+2)/5 + 1
	if mp < 10 {
		return mp + 3, day
	}
	return mp - 9, day
}

// tableKind reads the column of types in the words of several products. It returns choice, true_false, short, number,
// poll, pair or a name that starts with ! when the kind can't be played; empty when nothing is said.
func tableKind(cell string) (kind string, caseMatters bool) {
	name := normalHeader(cell)
	switch name {
	case "":
		return "", false
	case "multiple choice", "checkbox", "single choice", "quiz", "mc", "mcq", "multi select", "multiple select",
		"multiple answer", "multiple answers":
		return "choice", false
	case "true false", "true or false", "boolean", "tf", "wahr falsch", "richtig falsch":
		return "true_false", false
	case "short text", "fill in the blank", "fill in", "short answer", "type answer", "text", "identification":
		return "short", strings.Contains(cell, "case")
	case "numeric", "numerical", "number", "zahl":
		return "number", false
	case "poll", "umfrage", "survey", "opinion":
		return "poll", false
	case "open ended", "essay", "open", "draw", "matching", "match", "reorder", "ordering", "slide", "puzzle", "jumble",
		"drag and drop", "hotspot", "slider", "word cloud", "brainstorm", "comprehension", "math response", "labeling":
		return "!" + name, false
	}
	return "choice", false
}

// typed reads a row whose column of types says something other than a choice.
func (t *table) typed(d *draft, r row, kind string) {
	var cells []string
	for _, at := range t.cols.options {
		if s := strings.TrimSpace(r.cell(at)); s != "" {
			cells = append(cells, s)
		}
	}
	key := strings.TrimSpace(r.cell(t.cols.correct))
	switch kind {
	case "true_false":
		d.kind, d.q.Type = "true_false", wire.TrueFalse
		t.trueFalse(d, r, key)
	case "short":
		d.kind, d.q.Type = "short_answer", wire.ShortText
		if len(cells) == 0 && key != "" {
			cells = []string{key}
		}
		d.q.Texts = cells
		if len(cells) == 0 {
			d.faultf("no accepted answer is given")
		}
	case "number":
		d.kind, d.q.Type = "numerical", wire.Numeric
		if len(cells) == 0 && key != "" {
			cells = []string{key}
		}
		for _, s := range cells {
			n, ok := parseRange(s)
			if !ok {
				d.faultf("%q is not a number or a range such as 1..5", clip(s, 40))
			}
			d.q.Numbers = append(d.q.Numbers, n)
		}
	case "poll":
		d.kind, d.q.Type = "poll", wire.Poll
		for _, s := range cells {
			d.q.Options = append(d.q.Options, wire.Option{Text: s})
		}
	default:
		d.kind = map[string]string{"!open ended": "essay", "!open": "essay", "!match": "matching"}[kind]
		if d.kind == "" {
			d.kind = strings.ReplaceAll(kind[1:], " ", "_")
		}
		d.leftOut = "questions of the type " + strconv.Quote(kind[1:]) + " can't be played live"
	}
}

func (t *table) trueFalse(d *draft, r row, key string) {
	if t.numeric || wholeNumber.MatchString(key) {
		if numbers, ok := keyNumbers(key); ok && len(numbers) == 1 && numbers[0] <= len(t.cols.options) && numbers[0] > 0 {
			if s := strings.TrimSpace(r.cell(t.cols.options[numbers[0]-1])); s != "" {
				key = s
			}
		}
	}
	value := false
	switch strings.ToLower(key) {
	case "true", "t", "wahr", "richtig", "w", "yes", "ja", "1":
		value = true
	case "false", "f", "falsch", "no", "nein", "0", "2":
	default:
		d.faultf("the right answer must be true or false, not %q", clip(key, 40))
	}
	d.q.Correct = &value
}

// unguard takes off the quotation mark that guard puts before what a spreadsheet would take for a formula.
func unguard(cell string) string {
	rest := strings.TrimLeft(cell, "'")
	if len(rest) < len(cell) && rest != "" && strings.ContainsRune("=+-@", rune(rest[0])) {
		return cell[1:]
	}
	return cell
}

// guard makes cells harmless that a spreadsheet would run as a formula, and keeps guarded ones apart from written ones.
func guard(cell string) string {
	rest := strings.TrimLeft(cell, "'")
	if rest != "" && strings.ContainsRune("=+-@", rune(rest[0])) {
		return "'" + cell
	}
	return cell
}

// secondsOf writes a time limit as seconds.
func secondsOf(ms int64) string {
	if ms == 0 {
		return ""
	}
	return formatNumber(math.Round(float64(ms)) / 1000)
}
