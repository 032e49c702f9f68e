package quiz

// NameOf is the name that a participant entered the game with; ok is false for somebody who is not in it.
func (m *Machine) NameOf(user string) (name string, ok bool) {
	i, ok := m.byUser[user]
	if !ok {
		return "", false
	}
	return m.players[i].name, true
}

// NameTaken is true when a participant other than user has this display name; case and outer blanks do not matter.
func (m *Machine) NameTaken(name, user string) bool {
	i, taken := m.byName[foldText(name, false)]
	return taken && m.players[i].user != user
}
