//! Rules on trial, where the server has a user of its own and the administrator is root.

use sknock_tests::Found::{Open, Refused};
use sknock_tests::{Authority, Config, Daemon, Echo, Seen, World};

use crate::unit::as_the_unit;

const CLOSED: Seen = Seen { client: [Refused; 2], stranger: [Refused; 2] };
const EVERYBODY: Seen = Seen { client: [Open; 2], stranger: [Open; 2] };

#[test]
fn root_tries_out_and_confirms_what_the_units_user_runs() {
    let (world, authority) = (World::new(), Authority::new());
    let _services = [2222, 8080].map(|port| Echo::tcp(&world.gateway, port));
    let seen = || [2222, 8080].map(|port| world.tcp(port));
    let config = Config::new(&authority).set("protectedPorts", "tcp/22, tcp/2222");
    let mut daemon = as_the_unit(&world, &authority, &config);
    daemon.begin();
    daemon.wait_for(Daemon::ACCEPTING);
    daemon.configure(&config.clone().set("protectedPorts", "tcp/22, tcp/8080"));
    for words in ["reload --confirm 600", "confirm"] {
        let asked = daemon.tell(words);
        assert_eq!(asked.code, Some(0), "{words}: {}", asked.errors);
        assert_eq!(seen(), [EVERYBODY, CLOSED], "{words}");
    }
    // It keeps what to go back to.
    daemon.configure(&config);
    assert_eq!(daemon.tell("reload --confirm 600").code, Some(0));
    assert_eq!(seen(), [CLOSED, EVERYBODY]);
    daemon.crash();
    daemon.begin();
    daemon.wait_for("going on with the configuration from before that");
    daemon.wait_for(Daemon::ACCEPTING);
    assert_eq!(seen(), [EVERYBODY, CLOSED]);
}
