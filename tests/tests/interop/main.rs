//! The example programs against SIP programs that we did not write.
//!
//! Every test here is ignored by default, because it needs programs that a fresh machine does not have. `.ci/run` installs
//! them and runs everything with `cargo interop`; by hand:
//!
//! ```console
//! # apt-get install sip-tester sipsak baresip-core kamailio kamailio-outbound-modules kamailio-tls-modules \
//!       kamailio-websocket-modules iproute2 nftables nsd openssl chromium nodejs npm
//! $ npm ci --ignore-scripts --prefix tests/tests/interop/web
//! $ cargo build --release --examples
//! $ cargo interop
//! ```
//!
//! Tests whose reason to be ignored names "the rig" also need a folder with scenarios and configurations for the peers:
//! `SIPWRIGHT_RIG`, or else `../shared/interop` beside the repository. Nothing is skipped: a program, a folder or a right
//! that is missing fails the test that needs it and says so. All traffic stays on loopback or in network namespaces that
//! a test makes and deletes.

mod audio;
mod baresip;
mod browser;
mod digest;
mod hostile;
mod kamailio;
mod locate;
mod network;
mod options;
#[path = "../pki.rs"]
mod pki;
mod process;
mod programs;
mod rig;
mod sipp;
mod sipsak;
mod softphone;
mod tls;
mod websocket;
