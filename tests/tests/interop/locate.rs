//! Servers behind a name, with a real name server: what `locate` finds, and calls while one of two servers dies.
//!
//! Everything runs in a network namespace of the test, on its loopback.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::network::Namespace;
use crate::process::{Folder, Process, installed, run};
use crate::programs::example;

/// Two servers for UDP and TCP, NAPTR preferring UDP, the domain's own address, one server without services, the domain of
/// RFC 3263 §4.1 and §4.2, and a service whose answer fits in no datagram.
fn zone() -> String {
    let mut zone = String::from(
        "$ORIGIN example.test.\n\
         $TTL 30\n\
         @ IN SOA ns hostmaster 1 600 60 600 30\n\
         @ IN NS ns\n\
         @ IN A 127.0.0.9\n\
         @ IN NAPTR 0 0 \"s\" \"SIP+D2U\" \"\" _sip._udp\n\
         @ IN NAPTR 1 0 \"s\" \"SIP+D2T\" \"\" _sip._tcp\n\
         ns IN A 127.0.0.1\n\
         server1 IN A 127.0.0.1\n\
         server2 IN A 127.0.0.1\n\
         plain IN A 127.0.0.7\n\
         rfc IN NAPTR 50 50 \"s\" \"SIPS+D2T\" \"\" _sips._tcp.rfc\n\
         rfc IN NAPTR 90 50 \"s\" \"SIP+D2T\" \"\" _sip._tcp.rfc\n\
         rfc IN NAPTR 100 50 \"s\" \"SIP+D2U\" \"\" _sip._udp.rfc\n\
         rfc IN NAPTR 10 50 \"s\" \"SIP+D2S\" \"\" _sip._sctp.rfc\n\
         _sips._tcp.rfc IN SRV 0 1 5061 server3\n\
         _sip._tcp.rfc IN SRV 0 1 5060 server3\n\
         _sip._tcp.rfc IN SRV 1 2 5060 server4\n\
         _sip._udp.rfc IN SRV 0 1 5060 server4\n\
         server3 IN A 127.0.0.3\n\
         server4 IN A 127.0.0.4\n",
    );
    for service in ["_sip._udp", "_sip._tcp"] {
        for (server, port) in [("server1", SERVERS[0]), ("server2", SERVERS[1])] {
            zone.push_str(&format!("{service} IN SRV 0 5 {port} {server}\n"));
        }
    }
    for n in 1..=25 {
        let name = format!("a-rather-long-name-so-that-the-answer-fits-in-no-datagram-{n}");
        zone.push_str(&format!(
            "_sip._udp.many IN SRV 1 {n} {} {name}\n",
            20_000 + n
        ));
        zone.push_str(&format!("{name} IN A 127.0.0.1\n"));
    }
    zone
}

const SERVERS: [u16; 2] = [5071, 5072];
const NAME_SERVER: &str = "127.0.0.1:5353";
const PRIVATE_NAME_SERVER: &str = "127.0.0.1:5354";

/// What those inside are told of the same domain.
const PRIVATE_ZONE: &str = "$ORIGIN example.test.\n$TTL 30\n@ IN SOA ns hostmaster 1 600 60 600 30\n@ IN NS ns\n\
    ns IN A 127.0.0.1\n_sip._udp IN SRV 0 5 5060 inside\ninside IN A 127.0.0.8\n";

fn name_server(folder: &Folder, namespace: &Namespace) -> Process {
    serve(folder, namespace, &zone(), 5353)
}

fn serve(folder: &Folder, namespace: &Namespace, zone: &str, port: u16) -> Process {
    folder.write("example.zone", zone);
    let at = folder.path().display();
    let settings = format!(
        "server:\n ip-address: 127.0.0.1@{port}\n do-ip6: no\n server-count: 1\n username: \"\"\n chroot: \"\"\n \
         zonesdir: \"{at}\"\n zonelistfile: \"{at}/zone.list\"\n xfrdfile: \"{at}/xfrd.state\"\n database: \"\"\n \
         pidfile: \"{at}/nsd.pid\"\n rrl-ratelimit: 0\nremote-control:\n control-enable: no\n\
         zone:\n name: example.test\n zonefile: example.zone\n"
    );
    let settings = folder.write("nsd.conf", settings);
    let mut command = namespace.command(installed("nsd", "nsd"));
    command.arg("-d").arg("-c").arg(settings);
    let mut process = Process::start("nsd", command, folder);
    process.wait_listening("udp", port);
    process
}

fn located(namespace: &Namespace, uri: &str) -> Vec<String> {
    located_by(namespace, uri, NAME_SERVER)
}

fn located_by(namespace: &Namespace, uri: &str, name_server: &str) -> Vec<String> {
    let mut command = namespace.command(example("locate"));
    command.args([uri, "--nameserver", name_server, "--json"]);
    let targets: Value = serde_json::from_str(&run(&mut command)).expect("it prints JSON");
    let targets = targets.as_array().expect("a list").iter();
    let text = |target: &Value| {
        let address = target["address"].as_str().unwrap_or_default();
        let transport = target["transport"].as_str().unwrap_or_default();
        format!("{transport} {address}:{}", target["port"])
    };
    targets.map(text).collect()
}

/// RFC 3263 §4.
#[test]
#[ignore = "needs nsd and the superuser"]
fn the_sample_zone_leads_where_it_should() {
    let (folder, namespace) = (Folder::new("locate"), Namespace::new());
    let _name_server = name_server(&folder, &namespace);
    let all = located(&namespace, "sip:example.test");
    let set = |targets: &[String]| targets.iter().cloned().collect::<BTreeSet<_>>();
    let of = |protocol: &str| {
        SERVERS
            .map(|port| format!("{protocol} 127.0.0.1:{port}"))
            .into()
    };
    assert_eq!((set(&all[..2]), set(&all[2..])), (of("UDP"), of("TCP")));
    let tcp = located(&namespace, "sip:example.test;transport=tcp");
    assert_eq!(set(&tcp), of("TCP"));
    assert_eq!(
        located(&namespace, "sip:plain.example.test"),
        ["UDP 127.0.0.7:5060"]
    );
    assert_eq!(
        located(&namespace, "sip:example.test:5080"),
        ["UDP 127.0.0.9:5080"]
    );
    // TRA-024, RFC 3263 §4.1: the domain's order, without SCTP; for sips nothing but TLS.
    assert_eq!(
        located(&namespace, "sip:rfc.example.test"),
        [
            "TLS 127.0.0.3:5061",
            "TCP 127.0.0.3:5060",
            "TCP 127.0.0.4:5060",
            "UDP 127.0.0.4:5060"
        ]
    );
    assert_eq!(
        located(&namespace, "sips:rfc.example.test"),
        ["TLS 127.0.0.3:5061"]
    );
    // A private view of the same domain, at a name server of its own.
    let inside = Folder::new("locate-inside");
    let _private = serve(&inside, &namespace, PRIVATE_ZONE, 5354);
    assert_eq!(
        located_by(&namespace, "sip:example.test", PRIVATE_NAME_SERVER),
        ["UDP 127.0.0.8:5060"]
    );
    // All 25 came, over TCP; the resolver looks at 16 of one domain.
    assert_eq!(located(&namespace, "sip:many.example.test").len(), 16);
}

/// 2,000 calls at 100 a second through `proxy` to two servers, one of which is lost on the way. Every call that the lost
/// one had not answered is completed by the other; so those that fail are among those that it had answered.
fn lose_one_of_two_servers(lose: impl FnOnce(&Namespace, Process) -> Option<Process>) {
    let (folder, namespace) = (Folder::new("lost-server"), Namespace::new());
    let _name_server = name_server(&folder, &namespace);
    let mut proxy = namespace.command(example("proxy"));
    proxy.args([
        "--listen",
        "udp:127.0.0.1:5070",
        "--no-auth",
        "--nameserver",
        NAME_SERVER,
    ]);
    proxy.args(["--forward", "sip:example.test"]);
    let mut proxy = Process::start("proxy", proxy, &folder);
    proxy.wait_listening("udp", 5070);
    let [first, _second] = SERVERS.map(|port| {
        let mut server = namespace.command(installed("sipp", "sip-tester"));
        server.args([
            "-sn",
            "uas",
            "-i",
            "127.0.0.1",
            "-nostdin",
            "-p",
            &port.to_string(),
        ]);
        let mut server = Process::start(&format!("server-{port}"), server, &folder);
        server.wait_listening("udp", port);
        server
    });
    let mut caller: Command = namespace.command(installed("sipp", "sip-tester"));
    caller.args([
        "127.0.0.1:5070",
        "-sn",
        "uac",
        "-i",
        "127.0.0.1",
        "-p",
        "5090",
        "-nostdin",
    ]);
    caller.args(["-r", "100", "-m", "2000", "-d", "200", "-trace_err"]);
    let [messages, errors] = ["caller.messages", "caller.errors"].map(|name| folder.file(name));
    caller.arg("-trace_msg").arg("-message_file").arg(&messages);
    caller.arg("-error_file").arg(&errors);
    let mut caller = Process::start("caller", caller, &folder);
    thread::sleep(Duration::from_secs(7));
    let _still_there = lose(&namespace, first);
    // A call whose server is lost between its 180 and its 200 waits: 180 s for Timer C, 32 s more for the 487 to the CANCEL.
    caller.wait(Duration::from_secs(300));
    proxy.assert_running();

    let answered_by = answered_by(&read(&messages));
    let failed = failed(&read(&errors));
    for id in &failed {
        assert_eq!(
            answered_by.get(id),
            Some(&SERVERS[0]),
            "{id} failed, and the lost server had not answered it"
        );
    }
    let screen = caller.log();
    let counted = |what: &str| -> usize {
        let line = screen.lines().rev().find(|line| line.contains(what));
        let number = line.and_then(|line| line.rsplit('|').next()?.trim().parse().ok());
        number.unwrap_or_else(|| panic!("SIPp does not say {what:?}\n{}", caller.tail()))
    };
    assert_eq!(counted("Failed call"), failed.len(), "{failed:?}");
    assert_eq!(counted("Successful call"), 2_000 - failed.len());
    let had_answered = answered_by.values().filter(|port| **port == SERVERS[0]);
    println!(
        "{} of 2,000 calls failed; {} had been answered by the server that was lost",
        failed.len(),
        had_answered.count()
    );
}

/// What SIPp has written; it writes no file where there is nothing to say.
fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap_or_default()
}

/// The server whose Contact came in the responses to each INVITE, by Call-ID, from a message trace of SIPp's.
fn answered_by(trace: &str) -> BTreeMap<String, u16> {
    let mut answered = BTreeMap::new();
    for message in trace.split("-----------------------------------------------") {
        let field = |name: &str| {
            let mut lines = message.lines();
            lines.find_map(|line| line.strip_prefix(name).map(str::trim))
        };
        let (Some(id), Some(sequence), Some(contact)) =
            (field("Call-ID:"), field("CSeq:"), field("Contact:"))
        else {
            continue;
        };
        let is_response = message.lines().any(|line| line.starts_with("SIP/2.0 "));
        let server = |port: &u16| contact.contains(&format!("127.0.0.1:{port}"));
        if let Some(port) = SERVERS.into_iter().find(server)
            && is_response
            && sequence.ends_with("INVITE")
        {
            answered.insert(id.to_owned(), port);
        }
    }
    answered
}

/// The Call-IDs of the calls that SIPp gave up.
fn failed(errors: &str) -> BTreeSet<String> {
    let aborted = errors.lines().filter_map(|line| {
        let (_, call) = line.split_once("Aborting call")?;
        call.split('\'').nth(1)
    });
    aborted.map(str::to_owned).collect()
}

#[test]
#[ignore = "needs nsd, sipp and the superuser"]
fn when_a_server_is_killed_only_calls_that_it_had_answered_fail() {
    lose_one_of_two_servers(|_, server| {
        drop(server);
        None
    });
}

/// Nothing comes back from the lost server, so that only the timer helps.
#[test]
#[ignore = "needs nsd, sipp, nft and the superuser"]
fn when_a_server_falls_silent_only_calls_that_it_had_answered_fail() {
    lose_one_of_two_servers(|namespace, server| {
        let rules = format!(
            "add table inet lost; add chain inet lost in {{ type filter hook input priority 0; }}; \
             add rule inet lost in udp dport {0} drop; add rule inet lost in udp sport {0} drop",
            SERVERS[0]
        );
        run(namespace.command(installed("nft", "nftables")).arg(rules));
        Some(server)
    });
}
