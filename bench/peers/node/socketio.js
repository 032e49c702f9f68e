// Socket.IO with its rooms, over WebSocket alone, without compression, and with the first request given up as its
// documentation on memory advises.
'use strict'
const http = require('node:http')
const { Server } = require('socket.io')

const [host, port] = process.argv[2].split(':')
const server = http.createServer()
const io = new Server(server, {
  transports: ['websocket'], perMessageDeflate: false, httpCompression: false, serveClient: false
})
io.engine.on('connection', raw => { raw.request = null })
io.on('connection', socket => {
  let room
  socket.on('join', (name, done) => {
    room = name
    socket.join(name)
    done()
  })
  socket.on('m', text => io.to(room).emit('m', text))
  socket.on('e', (text, done) => done(text))
})
server.listen({ host, port: Number(port), backlog: 4096 })
