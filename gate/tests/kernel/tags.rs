//! Tags of knocks in the kernel: what has none is no knock, but only as long as the kernel has all of them.

use std::net::UdpSocket;
use std::os::fd::{AsRawFd, OwnedFd};
use std::thread;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, recv};
use sknock_gate::{
    BootInstant, FirewallPolicy, Gate, KnockCapture, KnockTag, KnockTags, Outcome, Request,
    Response, TableSpec, TagReport,
};
use sknock_netfilter::nflog::bind_group;

use crate::netns::{Net, until};
use crate::reach::Found::{Closed, Open, Silent};
use crate::reach::{Site, receive, udp};
use crate::setup::{ask, begun, ceiling, grant_request, open, raised, rules, tcp, udp as udp_port};

const GROUP: u16 = 5344;
const GOOD: KnockTag = *b"good";
const LONG: u32 = 100;

/// A datagram as long as a knock, with this tag.
fn tagged(tag: KnockTag) -> [u8; 1200] {
    let mut datagram = [7; 1200];
    datagram[..tag.len()].copy_from_slice(&tag);
    datagram
}

fn filtering(policy: FirewallPolicy) -> TableSpec {
    TableSpec {
        tagged_length: Some(1208),
        capture: KnockCapture::Log { group: GROUP },
        ..rules(policy)
    }
}

/// Loads these as the network process does.
fn load(gate: &mut Gate, tags: &[KnockTag], replace: bool, seconds: u32) -> Response {
    for some in tags.chunks(Request::TAGS) {
        let request = Request::StageTags { seconds: LONG, tags: some.to_vec() };
        assert_eq!(ask(gate, &request), Response::Tags);
    }
    let count = u32::try_from(tags.len()).unwrap();
    ask(gate, &Request::LoadTags { count, replace, seconds })
}

/// A host that copies knocks with the tag `GOOD`, and the group that gets them.
fn site(policy: FirewallPolicy) -> (Site, OwnedFd, Gate) {
    let site = Site::new();
    let group = site.host.inside(|| bind_group(GROUP).unwrap());
    let mut gate = begun(&site.host, filtering(policy), ceiling());
    // As at a start: the table has them from its first moment.
    assert_eq!(load(&mut gate, &[GOOD], true, LONG), Response::Tags);
    assert_eq!(ask(&mut gate, &Request::Activate), Response::Activated);
    (site, group, gate)
}

fn copies(group: &OwnedFd) -> usize {
    let mut buffer = [0; 4096];
    let next = || recv(group.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT).ok();
    std::iter::from_fn(next).count()
}

fn send(net: &Net, host: &str, datagram: &[u8]) {
    let any = if host.contains(':') { "[::]:0" } else { "0.0.0.0:0" };
    let socket = net.inside(|| UdpSocket::bind(any).unwrap());
    socket.send_to(datagram, (host, 5000)).unwrap();
}

/// Whether datagrams with and without a tag are copied, in each family.
fn are_copied(site: &Site, group: &OwnedFd) -> [[bool; 2]; 2] {
    [tagged(GOOD), tagged(*b"none")].map(|datagram| {
        Site::HOST.map(|host| {
            send(&site.client, host, &datagram);
            copies(group) > 0
        })
    })
}

const ALL: [[bool; 2]; 2] = [[true; 2]; 2];
const ONLY_TAGGED: [[bool; 2]; 2] = [[true; 2], [false; 2]];

#[test]
fn untagged_datagrams_are_answered_like_tagged_ones_but_not_copied() {
    let fates = [
        (FirewallPolicy::Drop, Silent),
        (FirewallPolicy::Reject, Closed),
        (FirewallPolicy::None, Closed),
    ];
    for (policy, fate) in fates {
        let (site, group, _gate) = site(policy);
        let service = receive(&site.host, 5000);
        for host in Site::HOST {
            for (tag, copied) in [(GOOD, 1), (*b"none", 0)] {
                assert_eq!(udp(&site.client, host, &service, &tagged(tag)), fate);
                assert_eq!(copies(&group), copied, "{policy:?}, {host}, {tag:?}");
            }
        }
    }
}

/// The rest of the table is not asked, and conntrack neither.
#[test]
fn with_drop_untagged_datagrams_end_before_conntrack() {
    let (site, _group, _gate) = site(FirewallPolicy::Drop);
    site.host.nft(
        "table inet after {
           chain tracked { type filter hook prerouting priority -199; udp dport 5000 counter; } }",
    );
    let seen = || site.host.nft("list chain inet after tracked").contains("packets 0 ");
    for host in Site::HOST {
        send(&site.client, host, &tagged(*b"none"));
    }
    assert!(seen());
    // Over `lo` it meets the rules for what the host says to itself.
    send(&site.host, Site::HOST[0], &tagged(*b"none"));
    until("it is seen", || !seen());
}

#[test]
fn with_a_socket_untagged_datagrams_are_refused_like_other_lengths() {
    for (policy, fate) in [(FirewallPolicy::Drop, Silent), (FirewallPolicy::Reject, Closed)] {
        let site = Site::new();
        let service = receive(&site.host, 5000);
        let rules = TableSpec { capture: KnockCapture::Socket, ..filtering(policy) };
        for rules in [rules.clone(), TableSpec { protected: vec![tcp(22)], ..rules }] {
            let open_port = !rules.protected.is_empty();
            let mut gate = raised(&site.host, rules, ceiling());
            assert_eq!(load(&mut gate, &[GOOD], true, LONG), Response::Tags);
            let fate = if open_port { Closed } else { fate };
            for host in Site::HOST {
                assert_eq!(udp(&site.client, host, &service, &tagged(GOOD)), Open);
                assert_eq!(udp(&site.client, host, &service, &tagged(*b"none")), fate);
                assert_eq!(udp(&site.client, host, &service, &[7; 1199]), fate);
            }
        }
    }
}

/// Without a renewal every knock is copied, as without tags.
#[test]
fn when_tags_are_not_renewed_everything_is_copied_again_until_they_are() {
    for policy in [FirewallPolicy::Drop, FirewallPolicy::Reject] {
        let (site, group, mut gate) = site(policy);
        assert_eq!(are_copied(&site, &group), ONLY_TAGGED);
        assert_eq!(load(&mut gate, &[], false, 1), Response::Tags);
        assert_eq!(are_copied(&site, &group), ONLY_TAGGED);
        thread::sleep(Duration::from_millis(1100));
        assert_eq!(are_copied(&site, &group), ALL);
        let later = BootInstant::now().after(Duration::from_secs(3));
        assert_eq!(gate.take_tag_report(later), Some(TagReport::OutOfDate));
        assert_eq!(gate.take_tag_report(later), None);
        assert_eq!(load(&mut gate, &[], false, LONG), Response::Tags);
        assert_eq!(gate.take_tag_report(later), Some(TagReport::Renewed));
        assert_eq!(are_copied(&site, &group), ONLY_TAGGED);
        // At once, if the network process says so.
        assert_eq!(load(&mut gate, &[], false, 0), Response::Tags);
        assert_eq!(are_copied(&site, &group), ALL);
    }
}

#[test]
fn rules_without_tags_have_neither_sets_nor_a_filter() {
    let net = Net::new();
    let untagged = TableSpec { tagged_length: None, ..filtering(FirewallPolicy::Drop) };
    let mut gate = raised(&net, untagged, ceiling());
    assert_eq!(load(&mut gate, &[GOOD], true, LONG), Response::Tags);
    let table = net.table();
    assert!(!table.contains("tags") && !table.contains("@th"), "{table}");
    assert_eq!(gate.take_tag_report(BootInstant::now()), None);
    // They are loaded with the first rules that ask for them.
    let now = BootInstant::now();
    let outcome = gate.reconfigure(filtering(FirewallPolicy::Drop), ceiling(), now);
    assert_eq!(outcome, Outcome::Activated { open: 0, dropped: 0 });
    assert!(net.table().contains("0x676f6f64"));
}

#[test]
fn tags_are_there_again_after_a_flush_a_trial_and_a_rollback() {
    let (site, group, mut gate) = site(FirewallPolicy::Drop);
    let mut watch = site.host.inside(|| gate.watch().unwrap());
    site.host.nft("flush ruleset");
    assert_eq!(are_copied(&site, &group), [[false; 2]; 2]);
    assert!(watch.read().structure_changed);
    let _ = gate.reinstall(BootInstant::now());
    assert_eq!(are_copied(&site, &group), ONLY_TAGGED);

    let now = BootInstant::now();
    let until = now.after(Duration::from_secs(600));
    let _ = gate.apply_on_trial(filtering(FirewallPolicy::Reject), ceiling(), until, now);
    assert_eq!(are_copied(&site, &group), ONLY_TAGGED);
    // Another key of the server.
    assert_eq!(load(&mut gate, &[*b"none"], true, LONG), Response::Tags);
    assert_eq!(are_copied(&site, &group), [[false; 2], [true; 2]]);
    let _ = gate.roll_back(BootInstant::now());
    assert_eq!(are_copied(&site, &group), [[false; 2], [true; 2]], "the same process serves");
    assert_eq!(load(&mut gate, &[GOOD], true, LONG), Response::Tags);
    assert_eq!(are_copied(&site, &group), ONLY_TAGGED);
}

/// A table that was flushed, and whose events are not read yet.
#[test]
fn tags_that_come_right_after_a_flush_bring_the_table_back() {
    let (site, group, mut gate) = site(FirewallPolicy::Drop);
    open(&mut gate, grant_request(&["192.0.2.7"], &[tcp(22)], 600));
    site.host.nft("flush ruleset");
    assert_eq!(load(&mut gate, &[*b"more"], false, LONG), Response::Tags);
    assert_eq!(are_copied(&site, &group), ONLY_TAGGED);
    let table = site.host.table();
    assert!(table.contains("0x6d6f7265") && table.contains("192.0.2.7 . tcp . 22"), "{table}");
}

/// Each would leave knocks unheard, or the mark for ever.
#[test]
fn tags_that_others_remove_are_noticed_and_what_they_add_is_not_mistaken_for_a_grant() {
    let (site, _group, mut gate) = site(FirewallPolicy::Drop);
    let mut watch = site.host.inside(|| gate.watch().unwrap());
    for change in [
        "flush set inet sknock knock_tags",
        "delete element inet sknock knock_tags { 0x676f6f64 }",
        "delete element inet sknock tags_loaded { ipv4 }",
        "flush set inet sknock tags_loaded",
    ] {
        site.host.nft(change);
        assert!(watch.read().structure_changed, "{change}");
        let _ = gate.reinstall(BootInstant::now());
    }
    load(&mut gate, &[], false, 0);
    site.host.nft("add element inet sknock tags_loaded { ipv4, ipv6 }");
    assert!(watch.read().structure_changed, "a mark that does not end");
    let _ = gate.reinstall(BootInstant::now());
    assert!(!site.host.table().contains("elements = { ipv4"));
    site.host.nft("add element inet sknock knock_tags { 0x01020304 timeout 1h }");
    assert_eq!(watch.read(), sknock_gate::Changes::default());
}

/// Everything that a server can have, in one transaction, and no events of it for us.
#[test]
fn the_most_tags_are_loaded_at_once_and_overrun_no_watch() {
    let net = Net::new();
    let mut gate = raised(&net, filtering(FirewallPolicy::Drop), ceiling());
    open(&mut gate, grant_request(&["192.0.2.7"], &[tcp(22)], 600));
    let mut watch = net.inside(|| gate.watch().unwrap());
    let max = u32::try_from(KnockTags::MAX).unwrap();
    let all: Vec<KnockTag> = (0..max).map(u32::to_be_bytes).collect();
    assert_eq!(load(&mut gate, &all, true, LONG), Response::Tags);
    // All of them are others, and the set has no room for both.
    let others: Vec<KnockTag> = (max..2 * max).map(u32::to_be_bytes).collect();
    assert_eq!(load(&mut gate, &others, true, LONG), Response::Tags);
    let refused = load(&mut gate, &[GOOD], false, LONG);
    assert!(matches!(refused, Response::Refused(_)), "{refused:?}");
    for epoch in 0..20 {
        let tags: Vec<KnockTag> = (0..4200_u32).map(|n| (epoch << 24 | n).to_be_bytes()).collect();
        assert_eq!(load(&mut gate, &tags, true, LONG), Response::Tags);
    }
    assert!(!is_readable(&watch), "our own doing");
    assert_eq!(watch.read(), sknock_gate::Changes::default());
    // As many by another program.
    let folder = tempfile::tempdir().unwrap();
    let commands = folder.path().join("tags.nft");
    let list: Vec<String> =
        (0..4200).map(|n| format!("{:#x} timeout 1m", 0xff00_0000_u32 + n)).collect();
    let add = format!("add element inet sknock knock_tags {{ {} }}\n", list.join(", "));
    std::fs::write(&commands, add).unwrap();
    net.run("nft", &["-f", commands.to_str().unwrap()]);
    assert_eq!(watch.read(), sknock_gate::Changes::default());
    net.nft("flush set inet sknock knock_tags");
    let changes = watch.read();
    assert!(changes.structure_changed && !changes.overrun && changes.deleted.is_empty());
    assert_eq!(gate.reinstall(BootInstant::now()), Outcome::Activated { open: 1, dropped: 0 });
}

fn is_readable(watch: &sknock_gate::Watch) -> bool {
    let mut ready = [PollFd::new(watch.fd(), PollFlags::POLLIN)];
    poll(&mut ready, PollTimeout::ZERO).unwrap() > 0
}

/// A tag that is there with another end gets the later one, and no tag outlives its end.
#[test]
fn tags_end_in_the_kernel_when_they_should() {
    let net = Net::new();
    let mut gate = raised(&net, filtering(FirewallPolicy::Drop), ceiling());
    let stage = |gate: &mut Gate, tag: KnockTag, seconds| {
        let request = Request::StageTags { seconds, tags: vec![tag] };
        assert_eq!(ask(gate, &request), Response::Tags);
        let load = Request::LoadTags { count: 1, replace: false, seconds: LONG };
        assert_eq!(ask(gate, &load), Response::Tags);
    };
    stage(&mut gate, GOOD, 1);
    stage(&mut gate, *b"none", 1);
    stage(&mut gate, GOOD, 60);
    assert!(net.table().contains("0x676f6f64 timeout 59s"), "{}", net.table());
    until("one has ended", || !net.table().contains("0x6e6f6e65"));
    assert!(net.table().contains("0x676f6f64 timeout 59s"));
}

/// A router hands on what is for others, whatever it looks like.
#[test]
fn what_is_for_others_passes() {
    for policy in [FirewallPolicy::Drop, FirewallPolicy::Reject] {
        let (site, group, _gate) = site(policy);
        site.host.forward();
        site.client.route_by(Site::HOST[0]);
        let theirs = receive(&site.stranger, 5000);
        // The way back of an answer is of no concern here.
        assert_eq!(udp(&site.client, "10.2.0.2", &theirs, &tagged(*b"none")), Open);
        assert_eq!(copies(&group), 0);
    }
}

#[test]
fn knock_ports_among_others_are_filtered_as_well() {
    let site = Site::new();
    let group = site.host.inside(|| bind_group(GROUP).unwrap());
    let range = crate::setup::range(sknock_gate::Transport::Udp, 4000, 6000);
    let rules = TableSpec {
        knock_ports: vec![range, udp_port(53)],
        always_open: vec![udp_port(53)],
        ..filtering(FirewallPolicy::Drop)
    };
    let mut gate = raised(&site.host, rules, ceiling());
    assert_eq!(load(&mut gate, &[GOOD], true, LONG), Response::Tags);
    assert_eq!(are_copied(&site, &group), ONLY_TAGGED);
    // What is no knock still reaches the service at an open port.
    let dns = receive(&site.host, 53);
    assert_eq!(udp(&site.client, Site::HOST[0], &dns, &tagged(*b"none")), Open);
    assert_eq!(copies(&group), 0);
}
