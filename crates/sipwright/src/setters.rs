//! What user agents and servers have in common.

/// The setters of a builder around a [`StackBuilder`](crate::stack_builder::StackBuilder).
macro_rules! stack_setters {
    ($builder:ty) => {
        /// Sockets, limits and what else every stack has.
        impl $builder {
            /// A listener: `udp:ADDRESS:PORT`, likewise `tcp`, `tls`, `ws` and `wss`, or a
            /// [`Listener`](crate::Listener) with more to it. `*` as the address is every address of the host, port 0
            /// asks the system. May be given several times; defaults to none, with which nothing can be sent over UDP.
            pub fn listen(mut self, listener: impl crate::IntoListener) -> Self {
                self.stack.listen(listener);
                self
            }

            /// The runtime with clock, sockets and tasks. Defaults to the tokio runtime of the caller of
            /// [`start`](Self::start).
            pub fn runtime(mut self, runtime: impl sip_runtime::Runtime) -> Self {
                self.stack.runtime = Some(std::sync::Arc::new(runtime));
                self
            }

            /// The timers of every transaction, and Timer C of a server. Defaults to RFC 3261's values.
            pub fn timers(mut self, timers: sip_endpoint::Timers) -> Self {
                self.stack.timers = timers;
                self
            }

            /// The limits and times of the transport layer.
            pub fn transport(mut self, transport: sip_endpoint::TransportConfig) -> Self {
                self.stack.transport = transport;
                self
            }

            /// Marks everything that is sent with a Differentiated Services code point (RFC 2474), six bits: 24 (CS3) is
            /// usual for signalling (RFC 4594 §2.3). Defaults to none.
            pub fn dscp(mut self, dscp: u8) -> Self {
                self.stack.dscp = Some(dscp);
                self
            }

            /// Takes datagrams in groups, this far apart, while they come more often than that: a server that has much
            /// to do and yet is idle for most of the time spends up to half less of a processor, and answers up to that
            /// much later, on tokio two milliseconds more. See [`Driver::coalesce`](sip_runtime::Driver::coalesce).
            /// Defaults to none.
            pub fn coalesce(mut self, interval: std::time::Duration) -> Self {
                self.stack.coalesce = Some(interval);
                self
            }

            /// Whatever else can be set of the endpoint: how much is let in, what is answered, what observers may see.
            /// What it is given has everything else already.
            pub fn endpoint(
                mut self,
                configure: impl FnOnce(sip_endpoint::EndpointConfig) -> sip_endpoint::EndpointConfig
                + Send
                + 'static,
            ) -> Self {
                self.stack.configure = Some(Box::new(configure));
                self
            }

            /// How many transactions there may be, each side apart. Defaults to 65,536; above it a new request gets 503.
            /// Over datagrams a transaction lives on for 32 s after its answer (Timer J), so 1,000 requests a second are
            /// 32,000 of them, at less than a kilobyte each.
            pub fn max_transactions(mut self, transactions: usize) -> Self {
                self.stack.transactions = Some(transactions);
                self
            }

            /// How many calls may wait until the application takes them. Defaults to 1,024, because one read from a stream
            /// may bring a hundred at once; above it a call gets 480.
            pub fn max_waiting_calls(mut self, calls: usize) -> Self {
                self.stack.waiting_calls = calls;
                self
            }

            /// How many messages may wait until the application takes them. Defaults to 64; above it a message gets 503
            /// with Retry-After.
            pub fn max_waiting_messages(mut self, messages: usize) -> Self {
                self.stack.waiting_messages = messages;
                self
            }

            /// How many parcels may wait between two [workers](Self::workers), in each direction. Defaults to 1,024; above
            /// it a datagram is lost and counted, and a stream is not read until there is room.
            pub fn max_parcels(mut self, parcels: usize) -> Self {
                self.stack.parcels = parcels;
                self
            }

            /// Tells neighbours that announce themselves when there is too much to do, and sends fewer requests to those
            /// that say so (RFC 7339). Defaults to none: nothing is announced, told or heeded.
            pub fn overload_control(mut self, control: sip_endpoint::OverloadControl) -> Self {
                self.stack.overload_control = Some(control);
                self
            }

            /// Keeps the messages that pass. Defaults to none, because what is off costs nothing.
            pub fn trace(mut self, trace: crate::trace::Trace) -> Self {
                self.stack.trace = Some(trace);
                self
            }

            /// How many bytes may wait in each stream for a peer that does not read. Defaults to 1 MiB; one more closes it.
            pub fn stream_queue(mut self, bytes: usize) -> Self {
                self.stack.stream_queue = Some(bytes);
                self
            }

            /// How often each worker looks whether the addresses of the host's interfaces have changed. Defaults to 15 s;
            /// `None` never looks.
            pub fn network_check(mut self, every: Option<std::time::Duration>) -> Self {
                self.stack.network_check = Some(every);
                self
            }

            /// Tells when a worker was kept from its work for longer than `limit`, and for how long: by a router, a
            /// resolver or a store of the application's own that does not give the thread back. Defaults to none.
            pub fn watchdog(
                mut self,
                limit: std::time::Duration,
                slow: impl Fn(std::time::Duration) + Send + Sync + 'static,
            ) -> Self {
                self.stack.watchdog = Some((limit, std::sync::Arc::new(slow)));
                self
            }

            /// How long `close` waits. Defaults to 5 s.
            pub fn close_within(mut self, time: std::time::Duration) -> Self {
                self.stack.close_within = time;
                self
            }
        }
    };
}

pub(crate) use stack_setters;
