package persist

import "encoding/json"

// OwnerOf reads who created a room from the data of its rooms.KindRoomCreated record: the member owner, or else host.
// Empty when the data doesn't say. For backends.
func OwnerOf(data []byte) string {
	var v struct {
		Owner string `json:"owner"`
		Host  string `json:"host"`
	}
	if json.Unmarshal(data, &v) != nil {
		return ""
	}
	if v.Owner != "" {
		return v.Owner
	}
	return v.Host
}
