// npm ws: the frame is built once, and what is published in a turn of the event loop leaves in one write per member
// (socket.cork), which its documentation leaves to the user.
'use strict'
const http = require('node:http')
const { WebSocketServer, Sender } = require('ws')

const [host, port] = process.argv[2].split(':')
const rooms = new Map()
const waiting = new Set()

function flush () {
  for (const room of waiting) {
    const frames = room.frames.length === 1 ? room.frames[0] : Buffer.concat(room.frames)
    room.frames = []
    for (const ws of room.members) ws._socket.write(frames)
  }
  waiting.clear()
}

function publish (room, data) {
  room.frames.push(...Sender.frame(data, { fin: true, opcode: 1, mask: false, readOnly: true, rsv1: false }))
  if (waiting.size === 0) setImmediate(flush)
  waiting.add(room)
}

const server = http.createServer()
const wss = new WebSocketServer({ server, perMessageDeflate: false, clientTracking: false })
wss.on('connection', (ws, request) => {
  const name = new URL(request.url, 'http://x').searchParams.get('room')
  let room = rooms.get(name)
  if (!room) rooms.set(name, room = { members: new Set(), frames: [] })
  room.members.add(ws)
  ws.on('error', () => {})
  ws.on('close', () => room.members.delete(ws))
  ws.on('message', data => {
    if (data[0] === 80) publish(room, Buffer.from(data))
    else if (data[0] === 69) ws.send(data, { binary: false })
  })
})
server.listen({ host, port: Number(port), backlog: 4096 })
