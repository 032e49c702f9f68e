package native

import (
	"reflect"

	"github.com/bytedance/sonic"

	"lectern/protocol/wire"
)

// Warm compiles sonic's code for every payload, reply and event type. Without it the first message of each type pays
// milliseconds on an event loop. Call it once at start; an error only means that this still lies ahead.
func Warm() error {
	types := []reflect.Type{
		reflect.TypeFor[wire.AuthReply](), reflect.TypeFor[wire.TimeSyncReply](), reflect.TypeFor[wire.JoinReply](),
		reflect.TypeFor[wire.PublishReply](), reflect.TypeFor[wire.PresenceReply](), reflect.TypeFor[wire.QuizCreateReply](),
		reflect.TypeFor[wire.AnswerReply](), reflect.TypeFor[wire.ChatSendReply](), reflect.TypeFor[wire.QuestionView](),
		reflect.TypeFor[wire.QuizTime](), reflect.TypeFor[wire.QuizProgress](), reflect.TypeFor[wire.QuizResults](),
		reflect.TypeFor[wire.QuizLeaderboard](), reflect.TypeFor[wire.QuizRank](), reflect.TypeFor[wire.QuizSnapshot](),
		reflect.TypeFor[wire.QuizLobby](), reflect.TypeFor[wire.ChatMessage](), reflect.TypeFor[wire.ChatSnapshot](),
		reflect.TypeFor[wire.ChatDeleted](), reflect.TypeFor[wire.ChatReaction](), reflect.TypeFor[wire.ChatPinned](),
		reflect.TypeFor[wire.ChatTyping](), reflect.TypeFor[wire.ChatMuted](), reflect.TypeFor[wire.ChatSlow](),
		reflect.TypeFor[wire.Notification](), reflect.TypeFor[wire.Error](),
	}
	for _, payload := range payloads {
		if payload != nil {
			types = append(types, reflect.TypeOf(payload()).Elem())
		}
	}
	for _, t := range types {
		if err := sonic.Pretouch(t); err != nil {
			return err
		}
		if err := sonic.Pretouch(reflect.PointerTo(t)); err != nil {
			return err
		}
	}
	return nil
}
