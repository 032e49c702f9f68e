package api

import (
	"context"
	"net/http"
	"net/url"

	"github.com/danielgtaylor/huma/v2"

	"lectern/protocol/quizfile"
	"lectern/protocol/wire"
)

// QuizID is embedded in the inputs of operations on one quiz. (Only exported fields are read from requests.)
type QuizID struct {
	Bearer
	ID string `path:"id" maxLength:"64"`
}

type quizBody struct {
	Bearer
	RawBody []byte `contentType:"application/json" doc:"a quiz as docs/PROTOCOL.md has it"`
}

type quizPut struct {
	Bearer
	ID      string `path:"id" maxLength:"64"`
	RawBody []byte `contentType:"application/json" doc:"a quiz as docs/PROTOCOL.md has it"`
}

type quizInfo struct {
	ID        string `json:"id"`
	Title     string `json:"title"`
	Questions int    `json:"questions"`
	UpdatedAt int64  `json:"updatedAt"`
}

type quizList struct{ Body []quizInfo }

type quizReply struct{ Body *wire.Quiz }

type fileReply struct {
	ContentType string `header:"Content-Type"`
	Disposition string `header:"Content-Disposition"`
	Body        []byte
}

func (a *API) registerQuizzes(h huma.API) {
	const tag = "quizzes"
	huma.Register(h, secured(op(http.MethodGet, "/api/v1/quizzes", "quizzes", "The caller's quizzes", tag)), a.listQuizzes)
	huma.Register(h, rawBody(secured(op(http.MethodPost, "/api/v1/quizzes", "add-quiz", "Store a quiz", tag))), a.addQuiz)
	huma.Register(h, secured(op(http.MethodGet, "/api/v1/quizzes/{id}", "quiz", "A quiz with its key", tag)), a.getQuiz)
	huma.Register(h, rawBody(secured(op(http.MethodPut, "/api/v1/quizzes/{id}", "put-quiz", "Replace a quiz", tag))),
		a.putQuiz)
	huma.Register(h, secured(op(http.MethodDelete, "/api/v1/quizzes/{id}", "delete-quiz", "Delete a quiz", tag)),
		a.deleteQuiz)
	huma.Register(h, secured(op(http.MethodGet, "/api/v1/quizzes/{id}/export", "export-quiz", "A quiz as a file", tag)),
		a.exportQuiz)
	preview := rawBody(secured(op(http.MethodPost, "/api/v1/import", "import-preview",
		"Read a question file: what is good and what is faulty; stores nothing", tag)))
	preview.MaxBodyBytes = importBytesMax
	huma.Register(h, preview, a.importPreview)
}

// importBytesMax bounds a question file.
const importBytesMax = 20 << 20

func (a *API) listQuizzes(ctx context.Context, in *struct{ Bearer }) (*quizList, error) {
	c, err := a.claims(in.Bearer, wire.RoleHost)
	if err != nil {
		return nil, err
	}
	infos, err := a.Store.ListQuizzes(ctx, c.Subject)
	if err != nil {
		return nil, a.storeFailed("listing quizzes", err)
	}
	list := &quizList{Body: make([]quizInfo, len(infos))}
	for i, q := range infos {
		list.Body[i] = quizInfo{ID: q.ID, Title: q.Title, Questions: q.Questions, UpdatedAt: q.UpdatedAt}
	}
	return list, nil
}

func (a *API) addQuiz(ctx context.Context, in *quizBody) (*quizReply, error) {
	return a.storeQuiz(ctx, in.Bearer, "", in.RawBody)
}

func (a *API) putQuiz(ctx context.Context, in *quizPut) (*quizReply, error) {
	return a.storeQuiz(ctx, in.Bearer, in.ID, in.RawBody)
}

func (a *API) storeQuiz(ctx context.Context, b Bearer, id string, raw []byte) (*quizReply, error) {
	c, err := a.claims(b, wire.RoleHost)
	if err != nil {
		return nil, err
	}
	q, refused := decodeQuiz(raw)
	if refused != nil {
		return nil, fail(refused)
	}
	q.ID = id
	if q.ID, err = a.Store.PutQuiz(ctx, c.Subject, q); err != nil {
		return nil, a.storeFailed("storing a quiz", err)
	}
	return &quizReply{q}, nil
}

// own reads a quiz of the caller's. Another's is as unknown as one that doesn't exist.
func (a *API) own(ctx context.Context, in *QuizID) (*wire.Quiz, error) {
	c, err := a.claims(in.Bearer, wire.RoleHost)
	if err != nil {
		return nil, err
	}
	q, owner, err := a.Store.GetQuiz(ctx, in.ID)
	if err != nil {
		return nil, a.storeFailed("reading a quiz", err)
	}
	if owner != c.Subject && c.Role < wire.RoleAdmin {
		return nil, fail(wire.NewError(wire.CodeUnknownQuiz, "there is no such quiz"))
	}
	return q, nil
}

func (a *API) getQuiz(ctx context.Context, in *QuizID) (*quizReply, error) {
	q, err := a.own(ctx, in)
	if err != nil {
		return nil, err
	}
	return &quizReply{q}, nil
}

func (a *API) deleteQuiz(ctx context.Context, in *QuizID) (*struct{}, error) {
	c, err := a.claims(in.Bearer, wire.RoleHost)
	if err != nil {
		return nil, err
	}
	if err := a.Store.DeleteQuiz(ctx, c.Subject, in.ID); err != nil {
		return nil, a.storeFailed("deleting a quiz", err)
	}
	return nil, nil
}

type exportRequest struct {
	QuizID
	Format string `query:"format" default:"json" enum:"json,gift,aiken,moodle-xml,csv,kahoot-xlsx"`
}

// exportTypes are media type and file name ending per format.
var exportTypes = map[string][2]string{
	"json": {"application/json", ".json"}, "gift": {"text/plain; charset=utf-8", ".gift"},
	"aiken": {"text/plain; charset=utf-8", ".txt"}, "moodle-xml": {"application/xml", ".xml"},
	"csv":         {"text/csv; charset=utf-8", ".csv"},
	"kahoot-xlsx": {"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", ".xlsx"},
}

func (a *API) exportQuiz(ctx context.Context, in *exportRequest) (*fileReply, error) {
	q, err := a.own(ctx, &in.QuizID)
	if err != nil {
		return nil, err
	}
	data, _, err := quizfile.Encode(quizfile.Format(in.Format), q)
	if err != nil {
		return nil, fail(wire.NewError(wire.CodeInvalidData, "%s", err))
	}
	kind := exportTypes[in.Format]
	return attachment(q.Title, kind[1], kind[0], data), nil
}

func attachment(title, ending, mediaType string, data []byte) *fileReply {
	return &fileReply{
		ContentType: mediaType, Body: data,
		Disposition: "attachment; filename*=UTF-8''" + url.PathEscape(title+ending),
	}
}

type importRequest struct {
	Bearer
	Filename string `query:"filename" maxLength:"255" doc:"its ending helps to recognise the format"`
	RawBody  []byte `contentType:"application/octet-stream"`
}

type importReply struct{ Body *quizfile.Import }

func (a *API) importPreview(_ context.Context, in *importRequest) (*importReply, error) {
	if _, err := a.claims(in.Bearer, wire.RoleHost); err != nil {
		return nil, err
	}
	imported, err := quizfile.Decode(in.Filename, in.RawBody)
	if err != nil {
		return nil, fail(wire.NewError(wire.CodeInvalidData, "%s", err))
	}
	return &importReply{imported}, nil
}
