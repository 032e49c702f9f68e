package moderation

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lectern/protocol/wire"
)

// TestFilterFindsDisguisedWords is the corpus of evasion: each kind of disguise that pupils use.
func TestFilterFindsDisguisedWords(t *testing.T) {
	for _, text := range []string{
		// plain
		"fuck", "you asshole", "What a load of BULLSHIT!", "fuck!", "fuck.", "(fuck)", "motherfucker", "unfuckingbelievable",
		"du Arschloch", "so eine Scheiße", "SCHEISSE", "Hurensohn", "fick dich", "verpiss dich", "sieg heil",
		// fullwidth, mathematical, circled, squared, small capitals
		"ｆｕｃｋ", "𝓯𝓾𝓬𝓴", "𝐟𝐮𝐜𝐤", "ⓕⓤⓒⓚ", "🅵🆄🅲🅺", "🇫🇺🇨🇰", "𝕤𝕙𝕚𝕥", "⒡⒰⒞⒦",
		// Cyrillic and Greek homoglyphs
		"fuсk", "аss", "аѕѕhole", "ѕhіt", "ЅНІТ", "bіtсh", "ρorn", "сunt",
		// leet
		"5h1t", "sh1t", "sh!t", "$hit", "a$$hole", "@sshole", "b1tch", "b!tch", "f4gg0t", "wh0re", "s1ut", "ni99er's n1gger",
		"4r5ch", "5ch31553", "Arsch10ch",
		// spaced out
		"f u c k", "f.u.c.k", "f-u-c-k you", "f_u_c_k", "f  u  c  k", "s h i t", "s h 1 t", "a s s", "F U C K   Y O U",
		"f u uu c k", "k y s", "k.y.s",
		// split
		"fu-ck", "fu.ck", "f*u*c*k", "sh'it", "fu🙂ck", "a.ss",
		// invisible characters
		"fu\u200Bck", "f\u200Du\u200Cc\uFEFFk", "sh\u00ADit", "f\u2060uck", "\u202Efuck", "fu\u034Fck", "s\u3164hit",
		// repeated letters
		"fuuuuuck", "ffffuuuucccckkkk", "shiiiit", "asssss", "aaaassss", "biiiitch", "f u u u c k",
		// marks heaped on
		"f̷u̷c̷k̷", "fúck", "shït", "ärschloch", "f̴̢̛̗̲u̸c̶k̵",
		// mixed
		"ｆ\u200BＵ\u200BСk", "Ѕ.н.1.т", "5 h i t",
	} {
		if len(DefaultFilter().Check(text)) == 0 {
			t.Errorf("%q (%+q) passes", text, text)
		}
	}
}

// TestFilterLeavesInnocentWordsAlone is the corpus of false positives.
func TestFilterLeavesInnocentWordsAlone(t *testing.T) {
	for _, text := range []string{
		"Scunthorpe", "scunthorpe united", "classic", "class", "assessment", "assassin", "assume", "bass", "pass", "grass",
		"Dickens", "Charles Dickens", "Moby Dick", "Essex", "Sussex", "Middlesex", "cocktail", "cockpit", "peacock",
		"Hancock", "analysis", "analog", "canal", "Arsenal", "parser", "coarse", "shiitake", "shiitake mushrooms", "shitake",
		"therapist", "Penistone", "Lightwater", "Clitheroe", "title", "Titus", "institution", "constitution", "competition",
		"button", "buttress", "Matsushita", "Yamashita", "Takeshita", "Pornchai", "Pornthip", "Nigeria", "Niger", "niggle",
		"snigger", "Uranus", "Cummings", "document", "summa cum laude", "cucumber", "sextant", "Sextus", "homo sapiens",
		"push-it", "push it", "mass hit", "as soon as", "as-so", "pom", "pomegranate", "corn", "popcorn", "hello there",
		"c l a s s", "I a m", "a b c d e f g", "x, y, z", "a + b = c", "A 4 5 6", "455", "1455 km", "80085", "+49 30 455",
		"no!", "great!!!", "wow!!!!", "as", "AS", "a s", "hel", "bob", "con", "cuff", "duck", "luck", "sunk",
		"embarrass", "harass", "morass", "compass", "cassette", "basement", "raccoon", "tycoon", "wristwatch", "swank",
		"retardant", "flame retardant", "Bitche", "Slutsk", "shift", "shirt",
		"sheet", "short",
		// German
		"Wichtigkeit", "wichtig", "Fickingen", "Figur", "Barsch", "Marsch", "Dorsch", "Harsch",
		"barsch", "forschen", "Hurrikan", "Uhren", "Fuhren", "Huhn", "Spaß", "Spass", "Spatz",
		"Analphabet", "Analyse", "Assistent", "Klasse", "Masse", "Tasse", "Rasse", "Kasse", "Titel", "Vögel", "vögeln",
		"Schwanz", "Negev", "Mongolei", "Kanada", "Nuss", "Nut", "Nutella", "Nuten", "Scheibe", "Scheitel",
		"Scheidung", "Gescheit", "Eisscheibe", "geschieden", "Ficus", "Konfiskation", "Grafiker", "verwischen", "Pimpf",
		// other languages, signs and emoji
		"привет мир", "Доброе утро", "это мой класс", "γειά σου", "你好世界", "こんにちは", "안녕하세요", "مرحبا بالعالم", "שלום",
		"🙂🙃", "👨‍👩‍👧‍👦", "❤️", "¯\\_(ツ)_/¯", "", " ", "...", "1", "111", "!!!", "$100", "50% + 3", "user@example.org",
	} {
		if got := DefaultFilter().Check(text); len(got) > 0 {
			t.Errorf("%q: hit %+v", text, got)
		}
	}
}

// TestMatchPositions says where in the original the words stand.
func TestMatchPositions(t *testing.T) {
	for _, c := range []struct {
		text string
		want []string // the matched parts of the original
	}{
		{"oh fuck, no", []string{"fuck"}},
		{"ｆ\u200BＵｃｋ äh", []string{"ｆ\u200BＵｃｋ"}},
		{"so f u c k you", []string{"f u c k"}},
		{"fuuuck and a$$", []string{"fuuuck", "a$$"}},
		{"übel: fu-ck!", []string{"fu-ck"}},
		{"Scunthorpe, you cunt", []string{"cunt"}},
		{"shiitake shit shiitake", []string{"shit"}},
	} {
		runes := []rune(c.text)
		var got []string
		for _, m := range DefaultFilter().Check(c.text) {
			got = append(got, string(runes[m.Start:m.End]))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, want %q", c.text, got, c.want)
		}
	}
}

// TestEntryForms says what a star means, and that an innocent word vetoes only what it covers.
func TestEntryForms(t *testing.T) {
	f := NewFilter(Words{
		Deny:  []string{"cat", "dog*", "*cow", "*hen*", "bad word", "🖕", "*", "  "},
		Allow: []string{"kitchen*"},
	})
	for text, hit := range map[string]bool{
		"cat": true, "cats": false, "bobcat": false, "dog": true, "dogs": true, "bulldog": false, "cow": true, "cows": false,
		"seacow": true, "hen": true, "then": true, "hens": true, "kitchen": false, "kitchens": false, "kitchen hen": true,
		"bad word": true, "bad  word": true, "bad\nword": true, "bad-word": true, "badword": false, "bad": false,
		"c a t": true, "c a t s": false,
	} {
		if got := len(f.Check(text)) > 0; got != hit {
			t.Errorf("%q: %v, want %v", text, got, hit)
		}
	}
}

func TestCheckTextRefuses(t *testing.T) {
	err := DefaultFilter().CheckText("well, fuck")
	if err == nil || err.Code != wire.CodeTextRejected || strings.Contains(err.Message, "fuck") {
		t.Fatalf("got %v", err)
	}
	if err := DefaultFilter().CheckText("well, luck"); err != nil {
		t.Fatal(err)
	}
}

func TestReadWords(t *testing.T) {
	w, err := ReadWords(strings.NewReader("\uFEFF# comment\n\none\r\n + two\nthree*\n+ four \n"))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(w.Deny, []string{"one", "three*"}) || !slices.Equal(w.Allow, []string{"two", "four"}) {
		t.Fatalf("got %+v", w)
	}
	if _, err := ReadWords(strings.NewReader("ok\n\xff\n")); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Fatalf("got %v", err)
	}
	if _, err := ReadWords(strings.NewReader(strings.Repeat("x", 10_000))); err == nil {
		t.Fatal("an endless line is accepted")
	}
}

// TestPublicListsLoad loads real word lists and uses them as a corpus: every entry must be found by the filter that
// was made from them, and the lists must not make the filter slow.
func TestPublicListsLoad(t *testing.T) {
	files, _ := filepath.Glob("../../../shared/data/profanity/ldnoobw-*.txt")
	if len(files) == 0 {
		t.Skip("no public word lists beside the repository")
	}
	var all Words
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		w, err := ReadWords(bytes.NewReader(data))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all = all.Add(w)
	}
	f := NewFilter(all)
	missed := 0
	for _, word := range all.Deny {
		if len(f.Check("xx "+word+" yy")) == 0 {
			missed++
			t.Logf("not found: %q", word)
		}
	}
	if missed > 1 { // an emoji has no letters to find
		t.Errorf("%d of %d entries are not found", missed, len(all.Deny))
	}
	for _, innocent := range []string{"Scunthorpe", "classic", "assessment", "Dickens", "Essex", "cocktail", "therapist"} {
		if got := f.Check(innocent); len(got) > 0 {
			t.Errorf("%q: %+v", innocent, got)
		}
	}
	t.Logf("%d entries, %d nodes", len(all.Deny), len(f.a.nodes))
}

// TestTimeIsBounded counts the work: hits of one place are at most the pattern lengths, whatever the lists hold.
func TestTimeIsBounded(t *testing.T) {
	var w Words
	for n := 1; n <= 50; n++ {
		w.Deny = append(w.Deny, "*"+strings.Repeat("ab", n)+"*", "*"+strings.Repeat("a", n)+"*")
	}
	f := NewFilter(w)
	text := foldText([]rune(strings.Repeat("ab", 1000)), oneAsI)
	hits := 0
	f.a.find(text.symbols, func(*pattern, int, int) { hits++ })
	if limit := len(text.symbols) * 51; hits > limit {
		t.Errorf("%d hits in %d symbols", hits, len(text.symbols))
	}
	if got := f.Check(strings.Repeat("ab", 1000)); len(got) == 0 || len(got) > matchesMax {
		t.Errorf("%d matches", len(got))
	}
}

func TestCleanName(t *testing.T) {
	for in, want := range map[string]string{
		"Ada": "Ada", "  Ada   Lovelace ": "Ada Lovelace", "A\u200Bda": "Ada", "\u202EadA": "adA", "Ada\tB": "Ada B",
		"Zoe\u0308": "Zoë", "Jürgen": "Jürgen", "李雷": "李雷", "محمد": "محمد", "🦊": "🦊", "Ada 🦊": "Ada 🦊", "7": "7",
		"Nguyễn": "Nguyễn", "Dickens": "Dickens", "Scunthorpe": "Scunthorpe", "O'Brien-Smith": "O'Brien-Smith",
		"a\u0334\u0335\u0336\u0337\u0338b": "a\u0334\u0335\u0336b",
		strings.Repeat("x", 40):            strings.Repeat("x", 40),
		"Ada\u3164\u3164B":                 "Ada B", "\u3000Ada\u3000": "Ada",
	} {
		got, err := DefaultFilter().CleanName(in)
		if err != nil || got != want {
			t.Errorf("%+q: %+q, %v; want %+q", in, got, err, want)
		}
	}
	for _, in := range []string{
		"", "   ", "\u200B\u200B", "\u3164", "\u2800", "...", "-", "\u0301\u0301", "a\x00b", "a\x1bb", "a\u0085b", "\xff",
		strings.Repeat("x", 41), strings.Repeat("x", 100_000), "fuck", "f u c k", "𝓯𝓾𝓬𝓴", "5h1t", "Arschloch", "a\uE000",
		"a\uFFFE",
	} {
		got, err := DefaultFilter().CleanName(in)
		if err == nil || err.Code != wire.CodeNameRejected || got != "" {
			t.Errorf("%+q: %+q, %v", cut(in, 50), got, err)
		}
	}
}

func TestLinks(t *testing.T) {
	for text, want := range map[string]string{
		"no link": "", "see https://Example.org/x?y#z": "example.org",
		"example.org, www.example.com.":     "example.org www.example.com",
		"http://user:pw@evil.example:8080/": "evil.example", "mail ada@example.org": "", "mailto:ada@example.org": "",
		"a.b": "", "e.g. this": "", "3.14": "", "http://127.0.0.1:80/": "127.0.0.1", "http://[::1]:80/": "::1",
		"https://example.org https://EXAMPLE.org/2": "example.org", "bücher.de": "bücher.de", "wait... what": "",
		"ftp://files.example.net/a": "files.example.net", "example.org:8080/x": "example.org", "https://": "",
	} {
		if got := strings.Join(Links(text), " "); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := Links(strings.Repeat("https://a.example/ ", 3) + strings.Repeat("x.org y.org z.org ", 200)); len(got) != 4 {
		t.Errorf("got %q", got)
	}
}

// FuzzFilter: any text gets valid, ordered positions, and a clean name is clean.
func FuzzFilter(f *testing.F) {
	for _, s := range []string{
		"fuck", "f u c k", "ｆｕсk", "5h1t!", "a\xffb", "Scunthorpe", "shiitake", "1!|", "🇫🇺🇨🇰", "⒡ 1 l",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n := len([]rune(text))
		last := -1
		for _, m := range DefaultFilter().Check(text) {
			if m.Start < 0 || m.Start >= m.End || m.End > n || m.Start < last || m.Word == "" {
				t.Fatalf("%+q: %+v of %d runes", text, m, n)
			}
			last = m.Start
		}
		Links(text)
		name, err := DefaultFilter().CleanName(text)
		if err != nil {
			return
		}
		again, err := DefaultFilter().CleanName(name)
		if err != nil || again != name {
			t.Fatalf("%+q cleans to %+q, and that to %+q (%v)", text, name, again, err)
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	for name, text := range map[string]string{
		"short": "I think the answer is 42, but let me check it again.",
		"long":  strings.Repeat("The quick brown fox jumps over the lazy dog. ", 44),
		"worst": strings.Repeat("f.u.c.k 5h1t ", 150),
		"other": strings.Repeat("Съешь же ещё этих мягких французских булок. ", 44),
	} {
		b.Run(name, func(b *testing.B) {
			f := DefaultFilter()
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				f.Check(text)
			}
		})
	}
}

func BenchmarkLinks(b *testing.B) {
	for name, text := range map[string]string{
		"none":  "I think the answer is 42, but let me check it again.",
		"link":  "look at https://example.org/path?x=1 for this",
		"worst": strings.Repeat("a.b:c/d@e ", 200),
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				Links(text)
			}
		})
	}
}
