package quizfile

func decodeMoodleXML(c *collector, s string)       {}
func decodeXLSX(c *collector, data []byte) error   { return ErrUnknownFormat }
func encodeMoodleXML(e *exporter) []byte           { return nil }
func encodeCSV(e *exporter) []byte                 { return nil }
func encodeKahootXLSX(e *exporter) ([]byte, error) { return nil, ErrNoEncoder }
func detectZip(data []byte) Format                 { return Unknown }
