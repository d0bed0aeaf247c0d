//! Where the identity, its password and the server's certificate come from.

use std::path::Path;
use std::process::Command;

use crate::program::{alice, json, outcome, port, sknock};
use crate::support::{PASSWORD, Server, World};

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    std::fs::copy(from, to).unwrap();
}

#[test]
fn without_options_the_files_in_their_places_are_used() {
    let world = World::new();
    let server = Server::granting(&world, "127.0.0.1:0");
    let folder = world.folder.path().join("sknock");
    copy(&world.file("alice.pfx"), &folder.join("identity.pfx"));
    std::fs::write(folder.join("password"), format!("{PASSWORD}\n")).unwrap();
    std::fs::write(folder.join("server.cer"), "another server's").unwrap();
    let mut command = sknock(&world, "knock 127.0.0.1 udp/53");
    command.env("SKNOCK_KNOCK_PORT", port(&server).to_string());
    assert_eq!(outcome(&mut command).0, 3);
    copy(&world.file("gate.cer"), &folder.join("servers/127.0.0.1.cer"));
    let (code, out, err) = outcome(&mut command);
    assert_eq!(code, 0, "{err}");
    assert!(out.starts_with("udp/53 on 127.0.0.1 is open"), "{out}");
    assert!(err.contains("password, which has your password"), "{err}");
}

/// As ssh does: one line for each file or folder, with the command that puts it right.
#[test]
fn files_that_others_can_change_or_read_are_reported_in_one_line_each() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    let server = Server::granting(&world, "127.0.0.1:0");
    let folder = world.folder.path().join("sknock");
    let [identity, password, servers] =
        ["identity.pfx", "password", "servers"].map(|name| folder.join(name));
    let certificate = servers.join("127.0.0.1.cer");
    copy(&world.file("alice.pfx"), &identity);
    copy(&world.file("gate.cer"), &certificate);
    std::fs::write(&password, PASSWORD).unwrap();
    let words = format!("knock --knock-port {} 127.0.0.1 udp/53", port(&server));
    let notes = |modes: [u32; 5]| {
        let paths = [&folder, &identity, &password, &servers, &certificate];
        for (path, mode) in paths.into_iter().zip(modes) {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        let (code, _, err) = outcome(&mut sknock(&world, &words));
        assert_eq!(code, 0, "{err}");
        err
    };
    assert_eq!(notes([0o755, 0o600, 0o600, 0o755, 0o644]), "");
    assert_eq!(notes([0o700, 0o400, 0o400, 0o700, 0o444]), "");
    let told = |path: &Path, can: &str, chmod: &str| {
        let path = path.display();
        format!("sknock: note: other users can {can}. Run: chmod {chmod} {path}\n")
            .replace("PATH", &path.to_string())
    };
    let key = told(&identity, "read PATH, which has your key", "600");
    assert_eq!(notes([0o755, 0o640, 0o600, 0o755, 0o644]), key);
    let (change, key) =
        ("change PATH", told(&identity, "change or read PATH, which has your key", "600"));
    let password_too = told(&password, "change PATH", "600");
    for (bits, expected) in [
        ([0o775, 0o600, 0o600, 0o755, 0o644], told(&folder, change, "go-w")),
        ([0o757, 0o600, 0o600, 0o755, 0o644], told(&folder, change, "go-w")),
        ([0o755, 0o666, 0o600, 0o755, 0o644], key),
        ([0o755, 0o620, 0o600, 0o755, 0o644], told(&identity, change, "600")),
        ([0o755, 0o600, 0o620, 0o755, 0o644], password_too),
        ([0o755, 0o600, 0o600, 0o777, 0o644], told(&servers, change, "go-w")),
        ([0o755, 0o600, 0o600, 0o755, 0o664], told(&certificate, change, "go-w")),
    ] {
        assert_eq!(notes(bits), expected, "{bits:?}");
    }
}

#[test]
fn the_password_comes_from_the_first_source_there_is() {
    let world = World::new();
    let server = Server::granting(&world, "127.0.0.1:0");
    let words = format!("knock --knock-port {} 127.0.0.1 udp/53", port(&server));
    let right = world.folder.path().join("right");
    let wrong = world.folder.path().join("wrong");
    std::fs::write(&right, format!("{PASSWORD}\r\n")).unwrap();
    std::fs::write(&wrong, "wrong").unwrap();
    let run = |file: Option<&Path>, file_variable: Option<&Path>, variable: Option<&str>| {
        let mut command = alice(&world, &words);
        command.env_remove("SKNOCK_PFX_PASSWORD");
        file.map(|file| command.arg("--password-file").arg(file));
        file_variable.map(|file| command.env("SKNOCK_PASSWORD_FILE", file));
        variable.map(|text| command.env("SKNOCK_PFX_PASSWORD", text));
        outcome(&mut command)
    };
    assert_eq!(run(Some(&right), Some(&wrong), Some("wrong")).0, 0);
    assert_eq!(run(None, Some(&right), Some("wrong")).0, 0);
    assert_eq!(run(None, None, Some(PASSWORD)).0, 0);
    for (outcome, source) in [
        (run(Some(&wrong), Some(&right), Some(PASSWORD)), wrong.to_str().unwrap()),
        (run(None, Some(&wrong), Some(PASSWORD)), wrong.to_str().unwrap()),
        (run(None, None, Some("wrong")), "SKNOCK_PFX_PASSWORD"),
        (run(None, None, Some("")), "SKNOCK_PFX_PASSWORD"),
    ] {
        let (code, _, err) = outcome;
        assert_eq!(code, 3);
        assert!(err.contains(source) && !err.contains(PASSWORD), "{err}");
    }
}

#[test]
fn unusable_credentials_exit_with_3_and_the_remedy() {
    let world = World::new();
    let absent = world.file("absent");
    let junk = world.file("junk");
    std::fs::write(&junk, "junk").unwrap();
    let with = |name: &str, file: &Path| {
        let (code, _, err) = outcome(alice(&world, "knock 127.0.0.1 udp/53").env(name, file));
        assert_eq!(code, 3, "{err}");
        err
    };
    assert!(with("SKNOCK_IDENTITY", &absent).contains("--identity"));
    assert!(with("SKNOCK_SERVER_CERT", &absent).contains("--server-cert"));
    assert!(with("SKNOCK_PASSWORD_FILE", &absent).contains("cannot read the password"));
    assert!(with("SKNOCK_IDENTITY", &junk).contains("PKCS#12"));
    assert!(with("SKNOCK_SERVER_CERT", &junk).contains("X.509"));
}

/// Somebody who has just been given files, and has not yet put them where they belong.
#[test]
fn a_missing_file_is_reported_with_every_path_and_the_file_to_put_there() {
    let world = World::new();
    let folder = world.folder.path().join("sknock");
    let mut command = sknock(&world, "knock GW.example tcp/22");
    let (code, _, err) = outcome(&mut command);
    assert_eq!(code, 3);
    let identity = folder.join("identity.pfx");
    assert!(err.contains(&format!("{} does not exist", identity.display())), "{err}");
    assert!(err.contains("NAME.pfx") && err.contains("--identity"), "{err}");

    copy(&world.file("alice.pfx"), &identity);
    let (code, _, err) = outcome(&mut command);
    assert_eq!(code, 3);
    for place in ["servers/gw.example.cer", "server.cer"] {
        assert!(err.contains(&folder.join(place).display().to_string()), "{place}: {err}");
    }
    for part in ["administrator", "SERVER.cer", "--server-cert", "SKNOCK_SERVER_CERT"] {
        assert!(err.contains(part), "{part}: {err}");
    }
    let (_, _, err) = outcome(command.arg("--server-cert").arg(world.file("absent")));
    assert!(err.contains("absent does not exist") && !err.contains("servers/"), "{err}");
}

/// What `openssl req -x509 OPTIONS` makes, as PKCS#12 with our password.
fn from_openssl(world: &World, options: &[&str]) -> std::path::PathBuf {
    let (key, certificate) = (world.file("other.key"), world.file("other.pem"));
    let pfx = world.file("other.pfx");
    let made = Command::new("openssl")
        .args(["req", "-x509", "-nodes", "-days", "9", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .args(options)
        .output()
        .expect("this test needs the openssl command");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let packed = Command::new("openssl")
        .args(["pkcs12", "-export", "-passout", "env:PFX_PASSWORD", "-inkey"])
        .arg(&key)
        .arg("-in")
        .arg(&certificate)
        .arg("-out")
        .arg(&pfx)
        .env("PFX_PASSWORD", PASSWORD)
        .status();
    assert!(packed.unwrap().success());
    pfx
}

#[test]
fn a_certificate_that_no_knock_can_carry_is_exit_3() {
    let world = World::new();
    let rsa = from_openssl(&world, &["-newkey", "rsa:2048", "-subj", "/CN=alice"]);
    let (code, _, err) = outcome(alice(&world, "knock 127.0.0.1").env("SKNOCK_IDENTITY", rsa));
    assert_eq!(code, 3);
    assert!(err.contains("P-256"), "{err}");
    let names = format!("subjectAltName=URI:{}", "x".repeat(900));
    let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
    let large =
        from_openssl(&world, &[&curve[..], &["-subj", "/CN=a", "-addext", &names]].concat());
    let mut command = alice(&world, "knock --json 127.0.0.1 tcp/22");
    let (code, out, _) = outcome(command.env("SKNOCK_IDENTITY", large));
    let report = json(&out);
    assert_eq!((code, &report["exit"], &report["error"]), (3, &3.into(), &"identity".into()));
    assert!(report["message"].as_str().unwrap().contains("bytes"), "{out}");
}

#[test]
fn a_pem_certificate_of_the_server_will_do() {
    let world = World::new();
    let server = Server::granting(&world, "127.0.0.1:0");
    let pem = world.file("gate.pem");
    let converted = Command::new("openssl")
        .args(["x509", "-inform", "DER", "-in"])
        .arg(world.file("gate.cer"))
        .arg("-out")
        .arg(&pem)
        .status();
    assert!(converted.expect("this test needs the openssl command").success());
    let words = format!("knock --knock-port {} 127.0.0.1 udp/53", port(&server));
    let (code, _, err) = outcome(alice(&world, &words).env("SKNOCK_SERVER_CERT", pem));
    assert_eq!(code, 0, "{err}");
}

#[test]
fn a_ca_certificate_is_refused_as_the_server_certificate() {
    let world = World::new();
    let der = std::fs::read(world.file("gate.cer")).unwrap();
    let server = Command::new("openssl")
        .args(["x509", "-inform", "DER", "-in"])
        .arg(world.file("gate.cer"))
        .output()
        .expect("this test needs the openssl command");
    let server = String::from_utf8(server.stdout).unwrap();
    let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=CA"];
    from_openssl(&world, &curve);
    let p256 = std::fs::read_to_string(world.file("other.pem")).unwrap();
    from_openssl(&world, &["-newkey", "rsa:2048", "-subj", "/CN=CA"]);
    let rsa = std::fs::read_to_string(world.file("other.pem")).unwrap();

    let named = world.file("named");
    let told = |content: &[u8]| {
        std::fs::write(&named, content).unwrap();
        let words = "knock --no-verify --attempts 1 --timeout 1 127.0.0.1 udp/53";
        outcome(alice(&world, words).env("SKNOCK_SERVER_CERT", &named))
    };
    for ca in [&p256, &rsa] {
        let (code, _, err) = told(ca.as_bytes());
        assert!(code == 3 && err.contains("certificate of a CA, not of a server"), "{err}");
        let (code, _, err) = told((ca.clone() + &server).as_bytes());
        assert!(code == 3 && err.contains("first certificate in this file is a CA"), "{err}");
        let (code, _, err) = told((server.clone() + ca).as_bytes());
        assert!(code != 3 && !err.contains("CA"), "{err}");
    }
    let (code, _, err) = told(&der);
    assert_ne!(code, 3, "{err}");
}
