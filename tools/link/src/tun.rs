//! Two network namespaces with a TUN device each. In come names and a congestion control, out go
//! open devices whose packets nobody carries yet. What was made is removed when it is dropped; the
//! machine's own devices, addresses and settings are never written.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::fs::{Mode, OFlags};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::args::AUTO;

/// The client's side and the server's side.
pub struct Net {
    /// Where the client runs.
    pub client: Namespace,
    /// Where the emulator runs, at `SERVER`.
    pub server: Namespace,
}

impl Net {
    /// Two fresh namespaces and their devices, the client's first. Nothing that TCP has measured or
    /// left open is there from an earlier cell.
    ///
    /// # Errors
    /// `Unsupported`, with one line that says what is missing on this machine.
    pub fn create(congestion: &str) -> io::Result<(Net, [File; 2])> {
        if !rustix::process::geteuid().is_root() {
            return Err(unsupported("network namespaces want root: try sudo"));
        }
        let own = std::process::id();
        let client = Namespace::create(format!("panup-link-{own}-a"))?;
        let server = Namespace::create(format!("panup-link-{own}-b"))?;
        let devices = [client.inside(open)?, server.inside(open)?];
        for (side, address, peer) in [(&client, CLIENT, SERVER), (&server, SERVER, CLIENT)] {
            side.address(address, peer)?;
            if congestion != AUTO {
                side.inside(|| set_congestion(congestion))?;
            }
        }
        Ok((Net { client, server }, devices))
    }

    /// What [`AUTO`] is on this machine: [`USUAL`] where its namespaces may choose it, or what they begin with.
    ///
    /// # Errors
    /// As [`Net::create`].
    pub fn usual_congestion() -> io::Result<String> {
        let (net, _devices) = Net::create(AUTO)?;
        let found = net.client.inside(|| {
            drop(set_congestion(USUAL));
            fs::read_to_string(CONGESTION)
        })?;
        Ok(found.trim().to_owned())
    }
}

/// A network namespace of that name, for as long as this lives.
pub struct Namespace {
    name: String,
}

impl Namespace {
    fn create(name: String) -> io::Result<Namespace> {
        ip(&["netns", "add", &name])?;
        Ok(Namespace { name })
    }

    /// The start of a command that runs inside: the program and its arguments follow.
    pub fn command(&self) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]);
        command
    }

    fn address(&self, own: &str, peer: &str) -> io::Result<()> {
        let name = self.name.as_str();
        ip(&["-n", name, "link", "set", "lo", "up"])?;
        ip(&["-n", name, "addr", "add", own, "peer", peer, "dev", DEVICE])?;
        let up = ["link", "set", DEVICE, "up", "mtu", "1500"];
        ip(&[&["-n", name][..], &up, &["txqueuelen", "1000"]].concat())
    }

    /// Does `work` on a thread that is inside: a thread that went in is of no use outside.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
        let path = format!("/var/run/netns/{}", self.name);
        let enter = move || {
            let door = File::open(path)?;
            move_into_link_name_space(door.as_fd(), Some(LinkNameSpaceType::Network))
                .map_err(|error| unsupported(&format!("a namespace cannot be entered: {error}")))?;
            work()
        };
        std::thread::scope(|scope| match scope.spawn(enter).join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if let Err(error) = ip(&["netns", "del", &self.name]) {
            crate::complain(&error.to_string());
        }
    }
}

/// A new device of the thread's namespace: IP packets without link headers, super-packets as the
/// kernel makes them, which is what lets one thread carry a gigabit.
fn open() -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let device = rustix::fs::open("/dev/net/tun", flags, Mode::empty())
        .map_err(|error| unsupported(&format!("/dev/net/tun cannot be had: {error}")))?;
    claim(device.as_fd())
        .map_err(|error| unsupported(&format!("no TUN device can be made: {error}")))?;
    Ok(File::from(device))
}

/// Makes the open file a TUN device with offloads.
#[allow(unsafe_code, reason = "ioctls")]
fn claim(device: std::os::fd::BorrowedFd<'_>) -> rustix::io::Result<()> {
    use rustix::ioctl::{IntegerSetter, Updater, ioctl, opcode};

    const SET_INTERFACE: u32 = opcode::write::<libc::c_int>(b'T', 202);
    const SET_OFFLOAD: u32 = opcode::write::<libc::c_uint>(b'T', 208);
    let flags = libc::IFF_TUN | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
    let mut request = InterfaceRequest {
        name: [0; libc::IFNAMSIZ],
        flags: flags as libc::c_short,
        rest: [0; 22],
    };
    request.name[..DEVICE.len()].copy_from_slice(DEVICE.as_bytes());
    // SAFETY: TUNSETIFF reads and writes one `struct ifreq`, whose 40 bytes `InterfaceRequest` has.
    unsafe {
        let request = Updater::<SET_INTERFACE, InterfaceRequest>::new(&mut request);
        ioctl(device, request)?;
    }
    let offloads = libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6;
    // SAFETY: TUNSETOFFLOAD takes an integer of such flags, no pointer.
    unsafe {
        let request = IntegerSetter::<SET_OFFLOAD>::new_usize(offloads as usize);
        ioctl(device, request)
    }
}

/// `struct ifreq` as TUNSETIFF knows it: the union's first member is the flags.
#[repr(C)]
struct InterfaceRequest {
    name: [u8; libc::IFNAMSIZ],
    flags: libc::c_short,
    rest: [u8; 22],
}

const _: () = assert!(size_of::<InterfaceRequest>() == size_of::<libc::ifreq>());

/// Of the thread's namespace alone. Which ones a namespace may choose is the machine's to allow.
fn set_congestion(name: &str) -> io::Result<()> {
    fs::write(CONGESTION, name).map_err(|error| {
        let cure = match error.kind() {
            ErrorKind::PermissionDenied => {
                ": add it to the machine's own net.ipv4.tcp_allowed_congestion_control".to_owned()
            }
            ErrorKind::NotFound => format!(": is it there? try `modprobe tcp_{name}`"),
            _ => format!(": {error}"),
        };
        unsupported(&format!(
            "the congestion control {name} cannot be had{cure}"
        ))
    })
}

/// Runs `ip` of iproute2.
fn ip(args: &[&str]) -> io::Result<()> {
    // In a process group of its own: Ctrl-C must not hit it half-way.
    let output = Command::new("ip").args(args).process_group(0).output();
    let output = output.map_err(|error| match error.kind() {
        ErrorKind::NotFound => unsupported("the program `ip` (iproute2) is missing"),
        _ => unsupported(&format!("`ip` cannot be run: {error}")),
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().next().unwrap_or("it failed").to_owned();
    Err(unsupported(&format!("`ip {}`: {said}", args.join(" "))))
}

fn unsupported(text: &str) -> io::Error {
    io::Error::new(ErrorKind::Unsupported, text)
}

/// Where the emulator listens. These addresses mean nothing outside of the namespaces.
pub const SERVER: &str = "10.9.0.2";

/// The congestion control of the thread's namespace.
const CONGESTION: &str = "/proc/sys/net/ipv4/tcp_congestion_control";

/// What most systems have.
const USUAL: &str = "cubic";

const CLIENT: &str = "10.9.0.1";

/// The device's name on both sides.
const DEVICE: &str = "t0";
