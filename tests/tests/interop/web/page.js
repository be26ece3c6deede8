// Two phones of JsSIP in one page, at one server. `location.hash` says where it is and who they are; each step is told to
// the test, which says when to go on.
import JsSIP from 'jssip'

const { url, domain, uas } = JSON.parse(decodeURIComponent(location.hash.slice(1)))
const tell = (what, more = {}) => fetch('/tell', { method: 'POST', body: JSON.stringify({ what, ...more }) })
const happens = (emitter, event, ...failures) => new Promise((done, fail) => {
  emitter.on(event, done)
  for (const failure of failures) emitter.on(failure, (data) => fail(new Error(`${failure}: ${data.cause}`)))
})
const audio = { mediaConstraints: { audio: true, video: false } }

const phone = (user, password) => new JsSIP.UA({
  sockets: [new JsSIP.WebSocketInterface(url)],
  uri: `sip:${user}@${domain}`,
  password,
  register_expires: 600,
  session_timers: false,
})

const signIn = (ua) => {
  const registered = happens(ua, 'registered', 'registrationFailed', 'disconnected')
  ua.start()
  return registered
}

// A request of its own, until its final response.
const ask = (send) => new Promise((done, fail) => send({
  succeeded: ({ response }) => done(response.status_code),
  failed: ({ cause }) => fail(new Error(cause)),
}))

// WebRTC has connected both ends once packets have come.
const hears = async (session) => {
  for (let turn = 0; turn < 100; turn++) {
    for (const report of (await session.connection.getStats()).values()) {
      if (report.type === 'inbound-rtp' && report.packetsReceived > 20) return report.packetsReceived
    }
    await new Promise((done) => setTimeout(done, 100))
  }
  throw new Error('no audio')
}

const run = async () => {
  const stranger = phone('alice', 'wrong')
  const refused = await signIn(stranger).then(() => 'registered', (error) => error.message)
  stranger.stop()
  await tell('refused', { refused })

  const [alice, bob] = [phone('alice', 'alicepw'), phone('bob', 'bobpw')]
  await Promise.all([signIn(alice), signIn(bob)])
  await tell('registered')

  const message = await ask((eventHandlers) => alice.sendMessage(`sip:uas@${uas}`, 'hello ✓', { eventHandlers }))
  await tell('message', { status: message })
  const options = await ask((eventHandlers) => alice.sendOptions(`sip:bob@${domain}`, null, { eventHandlers }))
  await tell('options', { status: options })

  const incoming = happens(bob, 'newRTCSession')
  const outgoing = alice.call(`sip:bob@${domain}`, audio)
  const up = happens(outgoing, 'confirmed', 'failed')
  const { session } = await incoming
  const taken = happens(session, 'confirmed', 'failed')
  session.answer(audio)
  await Promise.all([up, taken])
  const packets = [await hears(outgoing), await hears(session)]
  await tell('talking', { packets })

  const ended = happens(outgoing, 'ended')
  session.terminate()
  await ended
  await tell('ended')

  const gone = Promise.all([alice, bob].map((ua) => happens(ua, 'unregistered')))
  alice.unregister()
  bob.unregister()
  await gone
  await tell('unregistered')
  alice.stop()
  bob.stop()
  await tell('done')
}

run().catch((error) => tell('failed', { error: String(error) }))
