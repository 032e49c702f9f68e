// uWebSockets (C++) through its own publish/subscribe, as its documentation advises: what is published in a turn leaves
// in one write per member. One thread.
'use strict'
const uWS = require('uwebsockets')

const [host, port] = process.argv[2].split(':')
const app = uWS.App()
app.ws('/raw', {
  compression: uWS.DISABLED,
  idleTimeout: 0,
  sendPingsAutomatically: false,
  maxBackpressure: 16 << 20,
  upgrade: (res, req, context) => {
    res.upgrade({ room: req.getQuery('room') }, req.getHeader('sec-websocket-key'),
      req.getHeader('sec-websocket-protocol'), req.getHeader('sec-websocket-extensions'), context)
  },
  open: ws => ws.subscribe(ws.getUserData().room),
  message: (ws, message, binary) => {
    const kind = new Uint8Array(message)[0]
    if (kind === 80) app.publish(ws.getUserData().room, message, binary)
    else if (kind === 69) ws.send(message, binary)
  }
})
app.listen(host, Number(port), socket => {
  if (!socket) process.exit(1)
})
