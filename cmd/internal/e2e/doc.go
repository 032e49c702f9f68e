// Package e2e drives the built binary as people do: Chromium with the host's page, players and the projector screen,
// cut lines and a killed server. It has tests only, and they run with LECTERN_E2E=1:
//
//	LECTERN_BIN            the binary; without it the test builds one
//	LECTERN_NODE_MODULES   a node_modules with playwright-core, stompjs, socket.io-client and ws
//	LECTERN_CHROMIUM       the browser (default: chromium on the PATH)
//	LECTERN_PYTHON         a Python that has python-socketio; without it there are no such players
//	LECTERN_SPRING         the class path of the player with Spring's client; without it there is none
//	LECTERN_NGINX          the nginx to put in front (default: nginx on the PATH; without one those tests skip)
//	LECTERN_SCREENSHOTS    a directory: also make the README's pictures there
//
// The scripts under browser run in Node and talk with the test in lines of JSON: {"need":"kill"} asks the test to do
// something, {"result":{…}} ends the scenario.
//
// Under clients are players of a game with other people's clients: each is a process that gets its orders in
// PLAYER_INPUT (orders), plays, and prints its result (played). TestMixedQuiz has one row for each kind.
//
// Under socketio are scripts that hold the server against the protocols of Engine.IO and Socket.IO packet by packet,
// and against their official clients; each reports how many checks it made and which failed.
package e2e
