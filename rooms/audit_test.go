package rooms

import (
	"fmt"
	"strings"
	"testing"

	"lectern/protocol/wire"
)

// TestAudit: every act of staff is there with who, on whom and why, nothing else is, and no text of a message.
func TestAudit(t *testing.T) {
	w := newWorld(t, ShardConfig{}, nil)
	w.game("g")
	mod := func(c Command) Command { c.From.Role, c.Scope = wire.RoleModerator, "g"; return c }
	do := func(cmds ...Command) {
		t.Helper()
		got := w.do(cmds...)
		for _, c := range cmds {
			okReply(t, got, c)
		}
		w.now += 1000
	}
	do(joinCmd("g", hostConn, as(wire.RoleHost)), mod(joinCmd("g", 5)), joinCmd("g", 1), joinCmd("g", 2), joinCmd("g", 3))
	do(say("g", 1, "the password is 1234", ""), say("g", 2, "mine", ""), mod(say("g", 5, "calm down", "")))
	do(mod(cmd("g", wire.OpChatDelete, 5, &wire.ChatIDData{ID: "m1"})),
		cmd("g", wire.OpChatDelete, 2, &wire.ChatIDData{ID: "m2"}),
		mod(cmd("g", wire.OpChatPin, 5, &wire.ChatPinData{ID: "m3"})))
	do(mod(cmd("g", wire.OpModMute, 5, &wire.ModUserData{User: "ub", DurationMs: 2000, Reason: "spoilers"})),
		cmd("g", wire.OpModKick, hostConn, &wire.ModUserData{User: "uc", Reason: "asked for it"}, as(wire.RoleHost)),
		cmd("g", wire.OpModBan, hostConn, &wire.ModUserData{User: "ud"}, as(wire.RoleHost)),
		cmd("g", wire.OpModBan, hostConn, &wire.ModUserData{User: "ud", Undo: true}, as(wire.RoleHost)))
	do(mod(cmd("g", wire.OpModSlow, 5, &wire.ModSlowData{EveryMs: 5000})),
		mod(cmd("g", wire.OpModLockdown, 5, nil)), hostCmd("g", wire.OpQuizLock),
		publishCmd("g", 1, `{"secret":"p1"}`, ""), mod(publishCmd("g", 5, `{"secret":"p2"}`, "")))
	do(hostCmd("g", wire.OpQuizStart))
	w.now += 4000
	do(hostCmd("g", wire.OpQuizPause), hostCmd("g", wire.OpQuizResume),
		cmd("g", wire.OpQuizExtend, hostConn, &wire.QuizExtendData{ByMs: 1000}, as(wire.RoleHost)))
	do(answerCmd("g", 1, 1, "0", "k")) // the last one: the question closes by itself
	do(hostCmd("g", wire.OpQuizNext), hostCmd("g", wire.OpQuizNext))
	w.now += 4000
	do(hostCmd("g", wire.OpQuizSkip), regradeCmd("g", 1, "1"), hostCmd("g", wire.OpQuizEnd))

	got := w.audit("g")
	want := `room.created by uh
quiz.created by uh T
chat.deleted by uf ub Nub m1
chat.pinned by uf uf Nuf m3
mod.muted by uf ub Nub spoilers until
mod.kicked by uh uc Nuc asked for it
mod.banned by uh ud Nud
mod.banned by uh ud Nud undo
mod.slow by uf a message every 5000 ms
mod.lockdown by uf
quiz.locked by uh
room.published by uf event x:y
quiz.started by uh
quiz.opened by uh #1
quiz.paused by uh
quiz.resumed by uh
quiz.extended by uh 1000 ms longer #1
quiz.ranked by uh #1
quiz.opened by uh #2
quiz.closed by uh skipped #2
quiz.regraded by uh another key slip #1
quiz.ended by uh`
	if text := strings.Join(got, "\n"); text != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
	if text := strings.Join(got, " "); strings.Contains(text, "1234") || strings.Contains(text, "secret") {
		t.Error("the audit trail holds what was written")
	}
}

// audit reads a room's acts, one line each.
func (w *world) audit(room string) []string {
	w.t.Helper()
	var audit Audit
	var got []string
	for _, rec := range w.journal.durable[room] {
		e, ok, err := audit.Next(rec)
		if err != nil {
			w.t.Fatal(err)
		}
		if !ok {
			continue
		}
		if e.At != rec.At || e.Index != rec.Index || len(e.Cells()) != len(AuditHeader()) {
			w.t.Errorf("%+v", e)
		}
		line := fmt.Sprint(e.Act, " by ", e.By)
		for _, part := range []string{e.On, e.OnName, e.Message, e.Detail, e.Reason} {
			if part != "" {
				line += " " + part
			}
		}
		if e.Question > 0 {
			line += fmt.Sprint(" #", e.Question)
		}
		if e.Undo {
			line += " undo"
		}
		if e.Until != 0 {
			line += " until"
		}
		got = append(got, line)
	}
	return got
}
