package scenario

import (
	"slices"
	"sync/atomic"
	"testing"
)

// texts records what an adaptor finds in frames.
type texts struct {
	noPlay
	got []string
}

func (t *texts) text(_ *member, payload []byte, _ int64) { t.got = append(t.got, string(payload)) }

func TestForeignFramesHoldTheTexts(t *testing.T) {
	for name, c := range map[string]struct {
		ad     adaptor
		frames []string
		want   []string
		faults int64
	}{
		"socketio": {
			socketioAdaptor{lectern: new(atomic.Bool)},
			[]string{
				`42["m","P1"]`, `431["E17"]`, `42["other","x"]`, `41`,
				`42["bench","P2",{"room":"r","seq":1,"ts":5},"r/e/1"]`, `432[{"ok":true,"data":{"t0":18,"t1":1,"t2":2}}]`,
				`433[{"ok":true,"data":{"seq":1}}]`, `434[{"ok":false,"error":{"code":"rate_limited"}}]`,
			},
			[]string{"P1", "E17", "P2", "E18"},
			2,
		},
		"centrifuge": {
			centrifugeAdaptor{},
			[]string{
				`{"push":{"channel":"r","pub":{"data":"P1"}}}` + "\n" + `{"push":{"channel":"r","pub":{"data":"P2"}}}`,
				`{"id":3,"publish":{}}`, `{"id":4,"rpc":{"data":"E17"}}`, `{"id":5,"error":{"code":103,"message":"no"}}`,
			},
			[]string{"P1", "P2", "E17"},
			1,
		},
		"stomp": {
			stompAdaptor{},
			[]string{
				"MESSAGE\nsubscription:room\nevent:room\\cjoin\n\n{}\x00",
				"MESSAGE\nsubscription:room\nevent:bench\ncontent-length:4\n\n\"P1\"\x00", "\n",
				"MESSAGE\ndestination:/user/queue/replies\nok:true\n\n{\"t0\":17,\"t1\":1}\x00",
				"MESSAGE\ndestination:/user/queue/replies\nok:true\n\n{\"seq\":1}\x00",
				"MESSAGE\ndestination:/user/queue/replies\nok:false\nerror:x\n\n{}\x00",
				"ERROR\nmessage:no\n\n\x00",
			},
			[]string{"P1", "E17"},
			2,
		},
	} {
		play := &texts{}
		w := &worker{f: &fleet{}, play: play, errors: map[string]int64{}}
		for _, frame := range c.frames {
			c.ad.read(w, &member{state: memberReady}, []byte(frame), 0)
		}
		if !slices.Equal(play.got, c.want) || w.f.nErrors.Load() != c.faults {
			t.Errorf("%s: %q, %v", name, play.got, w.errors)
		}
	}
}
