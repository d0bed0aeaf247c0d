//! How long a flow of UDP lasts: connection tracking decides, and the administrator may change that.

use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::Duration;

use sknock_tests::{Authority, Client, Config, Daemon, Echo, World};

/// Whether the service behind the port answers on this flow.
fn answers(flow: &UdpSocket) -> bool {
    // A refusal of before may lie here.
    let _ = flow.take_error();
    flow.set_read_timeout(Some(Duration::from_millis(500))).expect("not zero");
    flow.send(b"still there?").is_ok() && flow.recv(&mut [0; 64]).is_ok()
}

#[test]
fn a_flow_of_udp_outlasts_its_grant_until_it_is_silent_for_the_time_that_conntrack_keeps_it() {
    let (world, authority) = (World::new(), Authority::new());
    let _service = Echo::udp(&world.gateway, 53);
    let config = Config::new(&authority).set("PORT_OPEN_DURATION_IN_SECONDS", "1");
    let _daemon = Daemon::start_settled(&world.gateway, &config);
    for switch in ["nf_conntrack_udp_timeout", "nf_conntrack_udp_timeout_stream"] {
        world.gateway.set(&format!("netfilter/{switch}"), "3");
    }
    let to = SocketAddr::new(World::GATEWAY[0], 53);
    let flow = world.client.inside(|| {
        let flow = UdpSocket::bind("0.0.0.0:0")?;
        flow.connect(to).map(|()| flow)
    });
    let flow = flow.expect("a route to the gateway");
    assert!(!answers(&flow), "nobody has knocked");
    Client::alice(&world.client, &authority).open(World::GATEWAY[0], "udp/53");
    for _ in 0..5 {
        assert!(answers(&flow), "never silent for longer than a second");
        thread::sleep(Duration::from_secs(1));
    }
    thread::sleep(Duration::from_secs(5));
    assert!(!answers(&flow), "silent for longer than conntrack remembers");
    Client::alice(&world.client, &authority).open(World::GATEWAY[0], "udp/53");
    assert!(answers(&flow), "the same flow, after another knock");
}
