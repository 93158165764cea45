//! `panup hash` through the binary: md5sum's format, its verdicts and exit codes; `hash_files`
//! where only the library can be looked at. Where md5sum is installed, both are compared.

mod common;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
#[cfg(unix)]
use std::os::unix::ffi::OsStrExt;
#[cfg(unix)]
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::noise;
use md5::{Digest, Md5};
use panup::{HashOptions, Input, Kind, hash_files};
use tempfile::TempDir;

/// Sizes either side of a block, a page, a read, and of where files are mapped.
const SIZES: [usize; 12] = [
    0,
    1,
    55,
    56,
    64,
    65,
    4097,
    65_536,
    300_001,
    MAPPED - 1,
    MAPPED,
    MAPPED + 12_345,
];

/// From here on files are mapped.
const MAPPED: usize = 4 << 20;

/// A folder to work in.
struct Folder(TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: impl AsRef<OsStr>, bytes: &[u8]) {
        let path = self.0.path().join(name.as_ref());
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, bytes).expect("room");
    }

    /// One file of each size, named so that they sort by size.
    fn sizes(&self, folder: &str) -> Vec<(String, Vec<u8>)> {
        let mut files = Vec::new();
        for (number, size) in SIZES.into_iter().enumerate() {
            let name = format!("{folder}/{number:02}");
            let bytes = noise(size as u64, number as u64);
            self.write(&name, &bytes);
            files.push((name, bytes));
        }
        files
    }

    fn hash(&self, args: &[&str]) -> Output {
        self.hash_input(args, b"")
    }

    fn hash_input(&self, args: &[&str], input: &[u8]) -> Output {
        let mut panup = Command::new(env!("CARGO_BIN_EXE_panup"));
        self.run(panup.arg("hash").args(args), input)
    }

    fn run(&self, command: &mut Command, input: &[u8]) -> Output {
        let mut child = command
            .current_dir(self.0.path())
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a program");
        let mut to = child.stdin.take().expect("piped");
        to.write_all(input).expect("taken");
        drop(to);
        child.wait_with_output().expect("an end")
    }
}

/// By another implementation than ours.
fn md5(bytes: &[u8]) -> String {
    let digits = Md5::digest(bytes);
    digits.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn line(name: &str, bytes: &[u8]) -> String {
    format!("{}  {name}\n", md5(bytes))
}

fn slice_lines(name: &str, bytes: &[u8], size: usize) -> String {
    let slices = (1..).zip(bytes.chunks(size));
    slices
        .map(|(number, slice)| format!("#{number} {}", line(name, slice)))
        .collect()
}

/// Standard output, of a run that ended well and complained of nothing.
fn good(output: &Output) -> String {
    assert_eq!(complaints(output), "");
    assert_eq!(output.status.code(), Some(0));
    lines(output)
}

fn lines(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    match cfg!(windows) && text.contains(r"\\") {
        // The names of a folder's files have backslashes there, which md5sum's lines escape.
        true => text
            .split_inclusive('\n')
            .map(|line| match line.strip_prefix('\\') {
                Some(line) => line.replace(r"\\", "/"),
                None => line.replacen(r" \", " ", 1).replace(r"\\", "/"),
            })
            .collect(),
        false => text,
    }
}

/// What was complained of; of what is not there in the words of Unix.
fn complaints(output: &Output) -> String {
    let mut text = String::from_utf8_lossy(&output.stderr).into_owned();
    if cfg!(windows) {
        // No such file, no such folder.
        for code in [2, 3] {
            let said = std::io::Error::from_raw_os_error(code).to_string();
            let (said, _) = said.split_once(" (os error").expect("so it says");
            text = text.replace(said, "No such file or directory");
        }
    }
    text
}

#[test]
fn every_size_in_the_order_of_the_arguments() {
    let folder = Folder::new();
    let mut files = folder.sizes("d");
    files.reverse();
    files.push(files[3].clone());
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    let expected: String = files
        .iter()
        .map(|(name, bytes)| line(name, bytes))
        .collect();
    for options in [&[][..], &["--threads=1"], &["--threads=3"], &["--no-mmap"]] {
        let args = [options, &names].concat();
        assert_eq!(good(&folder.hash(&args)), expected, "{options:?}");
    }
}

#[test]
fn slices_behind_each_file() {
    let folder = Folder::new();
    let files = folder.sizes("d");
    for size in [MAPPED + 12_345, 1 << 20, 65_536, 100_003] {
        let expected: String = files
            .iter()
            .map(|(name, bytes)| line(name, bytes) + &slice_lines(name, bytes, size))
            .collect();
        let slices = format!("--slices={size}");
        for options in [&[][..], &["--threads=1"], &["--threads=2", "--no-mmap"]] {
            let args = [&[slices.as_str(), "d"], options].concat();
            let output = folder.hash(&args);
            assert!(good(&output) == expected, "{slices} {options:?}");
        }
    }
}

#[test]
fn one_file_and_its_slices_on_two_threads() {
    let folder = Folder::new();
    // Of two stretches, when a slice is small: 256 MiB and a bit would be slow to make here.
    let bytes = noise(3 * MAPPED as u64 + 1, 9);
    folder.write("f", &bytes);
    for size in [MAPPED, MAPPED + 1, 65_536] {
        let args = [&format!("--slices={size}"), "--threads=2", "f"];
        let expected = line("f", &bytes) + &slice_lines("f", &bytes, size);
        assert!(good(&folder.hash(&args)) == expected, "{size}");
    }
}

#[test]
fn the_usual_slice_is_16_mib_and_nothing_has_none() {
    let folder = Folder::new();
    let bytes = noise((16 << 20) + 1, 1);
    folder.write("f", &bytes);
    folder.write("empty", b"");
    let expected = line("f", &bytes) + &slice_lines("f", &bytes, 16 << 20) + &line("empty", b"");
    assert_eq!(good(&folder.hash(&["--slices", "f", "empty"])), expected);
    assert_eq!(expected.lines().count(), 4);
}

#[test]
fn thousands_of_small_files_below_a_folder() {
    let folder = Folder::new();
    let mut expected = String::new();
    for number in 0..3000 {
        let name = format!("d/{:02}/{number:04}", number / 100);
        let bytes = noise(number as u64, number as u64);
        folder.write(&name, &bytes);
        expected += &line(&name, &bytes);
    }
    for threads in ["--threads=1", "--threads=2", "--threads=5"] {
        assert!(good(&folder.hash(&[threads, "d"])) == expected, "{threads}");
    }
}

#[cfg(unix)]
#[test]
fn folders_are_sorted_hidden_files_count_and_links_are_not_followed() {
    let folder = Folder::new();
    for name in ["d/b/x", "d/a", "d/.hidden", "d/b.c", "d/c/.e/f", "e"] {
        folder.write(name, name.as_bytes());
    }
    symlink(folder.path("e"), folder.path("d/link")).expect("a link");
    symlink(folder.path("d/b"), folder.path("d/loop")).expect("a link");
    let expected: String = ["d/.hidden", "d/a", "d/b/x", "d/b.c", "d/c/.e/f"]
        .map(|name| line(name, name.as_bytes()))
        .concat();
    let output = folder.hash(&["d"]);
    assert_eq!(lines(&output), expected);
    assert_eq!(
        complaints(&output),
        "panup: 2 symbolic links were not followed\n"
    );
    assert_eq!(output.status.code(), Some(0));
    // What is typed is meant.
    assert_eq!(good(&folder.hash(&["d/link"])), line("d/link", b"e"));
}

#[cfg(unix)]
#[test]
fn special_names_are_escaped_as_md5sum_does_and_read_back() {
    let folder = Folder::new();
    let names = [&b"a\nb"[..], b"a\\b", b"a\rb", b" a ", b"\xff\xfe", b"*a"];
    for name in names {
        folder.write(OsStr::from_bytes(name), name);
    }
    let output = folder.hash(&["."]);
    let m = |bytes| md5(bytes).into_bytes();
    let expected = [
        [&m(b" a "), &b"  ./ a "[..]].concat(),
        [&m(b"*a"), &b"  ./*a"[..]].concat(),
        [b"\\", &m(b"a\nb")[..], b"  ./a\\nb"].concat(),
        [b"\\", &m(b"a\rb")[..], b"  ./a\\rb"].concat(),
        [b"\\", &m(b"a\\b")[..], b"  ./a\\\\b"].concat(),
        [&m(b"\xff\xfe"), &b"  ./\xff\xfe"[..]].concat(),
    ];
    let expected = [expected.join(&b'\n'), b"\n".to_vec()].concat();
    assert_eq!(output.stdout, expected);
    let checked = folder.hash_input(&["--check"], &output.stdout);
    assert_eq!(checked.status.code(), Some(0), "{}", complaints(&checked));
    assert!(
        checked
            .stdout
            .starts_with(b"./ a : OK\n./*a: OK\n\\./a\\nb: OK\n./a\rb: OK\n")
    );
    assert_eq!(checked.stdout.split(|&byte| byte == b'\n').count(), 7);
}

#[test]
fn standard_input_and_other_streams() {
    let folder = Folder::new();
    let bytes = noise(1_000_001, 3);
    assert_eq!(good(&folder.hash_input(&[], &bytes)), line("-", &bytes));
    folder.write("a", b"a");
    folder.write("b", b"b");
    let expected = line("a", b"a") + &line("-", &bytes) + &line("b", b"b");
    assert_eq!(good(&folder.hash_input(&["a", "-", "b"], &bytes)), expected);
    let expected = line("-", &bytes) + &slice_lines("-", &bytes, 300_000);
    assert_eq!(
        good(&folder.hash_input(&["--slices=300000"], &bytes)),
        expected
    );
    if cfg!(unix) {
        // Of size 0 to the eye, and no regular file at all.
        let version = fs::read("/proc/version").expect("Linux");
        let expected = line("/proc/version", &version) + &line("/dev/null", b"");
        assert_eq!(
            good(&folder.hash(&["/proc/version", "/dev/null"])),
            expected
        );
    }
}

#[cfg(unix)]
#[test]
fn a_named_pipe_is_read_to_its_end() {
    let folder = Folder::new();
    let made = Command::new("mkfifo").arg(folder.path("pipe")).status();
    assert!(made.expect("coreutils").success());
    let (path, bytes) = (folder.path("pipe"), noise(200_000, 4));
    let expected = line("pipe", &bytes);
    let writer = std::thread::spawn(move || fs::write(path, bytes));
    assert_eq!(good(&folder.hash(&["pipe"])), expected);
    writer.join().expect("no panic").expect("read by panup");
}

#[test]
fn what_is_missing_is_said_and_stops_nothing() {
    let folder = Folder::new();
    folder.write("a", b"a");
    folder.write("b", b"b");
    let output = folder.hash(&["a", "gone", "b", "also/gone"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(lines(&output), line("a", b"a") + &line("b", b"b"));
    assert_eq!(
        complaints(&output),
        "panup: gone: No such file or directory\npanup: also/gone: No such file or directory\n"
    );
}

#[cfg(unix)]
#[test]
fn lines_that_cannot_be_written_are_a_failure() {
    let folder = Folder::new();
    folder.write("a", b"a");
    let full = File::create("/dev/full").expect("Linux");
    let mut panup = Command::new(env!("CARGO_BIN_EXE_panup"));
    panup
        .args(["hash", "a"])
        .current_dir(folder.0.path())
        .stdout(full);
    let output = panup.stderr(Stdio::piped()).spawn().expect("a program");
    let output = output.wait_with_output().expect("an end");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        complaints(&output),
        "panup: write error: No space left on device\n"
    );
}

/// Lists, options, and what comes of them: exit code, lines, complaints. `@` is the MD5 of `a`.
const CHECKS: [(&str, &[&str], i32, &str, &str); 16] = [
    ("@  a\n", &[], 0, "a: OK\n", ""),
    (
        "@ *a\n@  b\n",
        &[],
        1,
        "a: OK\nb: FAILED\n",
        "W: 1 computed checksum did NOT match\n",
    ),
    (
        "@  a\n@  b\n",
        &["--quiet"],
        1,
        "b: FAILED\n",
        "W: 1 computed checksum did NOT match\n",
    ),
    ("@  a\n@  b\n", &["--status"], 1, "", ""),
    (
        "MD5 (a) = @\nMD5 (b) = @\nMD5 (b) = @\n",
        &[],
        1,
        "a: OK\nb: FAILED\nb: FAILED\n",
        "W: 2 computed checksums did NOT match\n",
    ),
    (
        "@  gone\n@  a\n",
        &[],
        1,
        "gone: FAILED open or read\na: OK\n",
        "panup: gone: No such file or directory\nW: 1 listed file could not be read\n",
    ),
    ("@  gone\n@  a\n", &["--ignore-missing"], 0, "a: OK\n", ""),
    (
        "@  gone\n",
        &["--ignore-missing"],
        1,
        "",
        "panup: list: no file was verified\n",
    ),
    (
        "@  gone\n",
        &["--status"],
        1,
        "",
        "panup: gone: No such file or directory\n",
    ),
    (
        "x\n\n#c\n@  a\r\n",
        &[],
        0,
        "a: OK\n",
        "W: 1 line is improperly formatted\n",
    ),
    (
        "x\n@  a\ny\n",
        &["--strict"],
        1,
        "a: OK\n",
        "W: 2 lines are improperly formatted\n",
    ),
    (
        "x\n@  a\n",
        &["--warn"],
        0,
        "a: OK\n",
        "panup: list: 1: improperly formatted MD5 checksum line\nW: 1 line is improperly formatted\n",
    ),
    ("@  a", &[], 0, "a: OK\n", ""),
    (
        "x\n",
        &[],
        1,
        "",
        "panup: list: no properly formatted checksum lines found\n",
    ),
    (
        "",
        &["--status"],
        1,
        "",
        "panup: list: no properly formatted checksum lines found\n",
    ),
    (
        "@  a\n@  b\n@  gone\nx\n",
        &[],
        1,
        "a: OK\nb: FAILED\ngone: FAILED open or read\n",
        "panup: gone: No such file or directory\nW: 1 line is improperly formatted\n\
         W: 1 listed file could not be read\nW: 1 computed checksum did NOT match\n",
    ),
];

#[test]
fn verdicts() {
    let folder = Folder::new();
    folder.write("a", b"a");
    folder.write("b", b"b");
    for (list, options, code, said, complained) in CHECKS {
        folder.write("list", list.replace('@', &md5(b"a")).as_bytes());
        let output = folder.hash(&[options, &["--check", "list"]].concat());
        let complained = complained.replace("W:", "panup: WARNING:");
        assert_eq!(lines(&output), said, "{list:?} {options:?}");
        assert_eq!(complaints(&output), complained, "{list:?} {options:?}");
        assert_eq!(output.status.code(), Some(code), "{list:?} {options:?}");
    }
}

#[test]
fn md5sum_says_the_same() {
    if Command::new("md5sum").arg("--version").output().is_err() {
        return eprintln!("skipped: no md5sum here");
    }
    let folder = Folder::new();
    folder.write("a", b"a");
    folder.write("b", b"b");
    for (list, options, ..) in CHECKS {
        folder.write("list", list.replace('@', &md5(b"a")).as_bytes());
        let args = [options, &["--check", "list"]].concat();
        let theirs = folder.run(Command::new("md5sum").args(&args), b"");
        let ours = folder.hash(&args);
        assert_eq!(lines(&ours), lines(&theirs), "{list:?} {options:?}");
        let words = complaints(&theirs).replace("md5sum: ", "panup: ");
        assert_eq!(complaints(&ours), words, "{list:?} {options:?}");
        assert_eq!(
            ours.status.code(),
            theirs.status.code(),
            "{list:?} {options:?}"
        );
    }
    folder.sizes("d");
    let list = folder.hash(&["--slices=1M", "d"]);
    let theirs = folder.run(
        Command::new("md5sum").args(["--check", "--strict"]),
        &list.stdout,
    );
    assert_eq!(
        good(&theirs).lines().count(),
        SIZES.len(),
        "slices are comments"
    );
}

#[cfg(unix)]
#[test]
fn md5sums_options_are_in_md5sums_places() {
    if Command::new("md5sum").arg("--version").output().is_err() {
        return eprintln!("skipped: no md5sum here");
    }
    let folder = Folder::new();
    for name in ["a", "b c", "n\nl", "b\\s", "r\r", "-d", "名"] {
        folder.write(name, name.as_bytes());
    }
    let sums = |options: &[&str]| {
        let args = [options, &["a", "b c", "n\nl", "b\\s", "r\r", "名"]].concat();
        folder.run(Command::new("md5sum").args(args), b"").stdout
    };
    folder.write("gnu", &sums(&[]));
    folder.write("binary", &sums(&["-b"]));
    folder.write("bsd", &sums(&["--tag"]));
    let text = String::from_utf8(sums(&[])).expect("names of text");
    folder.write("windows", text.replace('\n', "\r\n").as_bytes());
    let upper = text.split_inclusive('\n').map(|line| {
        let (md5, name) = line.split_at(33);
        md5.to_uppercase() + name
    });
    folder.write("upper", upper.collect::<String>().as_bytes());
    folder.write(
        "bad list",
        format!("{}x\n{}", line("gone", b""), line("a", b"b")).as_bytes(),
    );
    for args in [
        &["a", "b c", "n\nl", "b\\s", "r\r"][..],
        &["-b", "a", "n\nl"],
        &["-t", "a"],
        &["-bt", "a"],
        &["-tb", "a"],
        &["a", "--binary"],
        &["--tag", "a", "b c", "n\nl", "b\\s", "r\r"],
        &["--tag", "-b", "a"],
        &["-z", "a", "n\nl", "b\\s"],
        &["--tag", "--zero", "n\nl"],
        &["--", "-d"],
        &["-c", "gnu"],
        &["-c", "--quiet", "gnu"],
        &["--quiet", "-c", "gnu"],
        &["-c", "binary", "bsd"],
        &["bsd", "-c"],
        &["-c", "--strict", "windows"],
        &["-c", "--strict", "upper"],
        &["-c", "bad list"],
        &["-c", "--status", "bad list"],
        &["-cw", "bad list"],
        &["-wc", "--ignore-missing", "bad list"],
        &["--ignore-missing", "--check", "--strict", "bad list", "gnu"],
        &["-c", "none at all", "gnu"],
        &["-c", "--tag", "gnu"],
        &["-c", "-z", "gnu"],
        &["-c", "-b", "gnu"],
        &["--tag", "-t", "a"],
        &["--quiet", "a"],
        &["--status", "a"],
        &["--strict", "a"],
        &["-w", "a"],
        &["--ignore-missing", "a"],
    ] {
        alike(&folder, args.iter().map(OsStr::new));
    }
    let names: [&[u8]; 19] = [
        b"it's", b"x:y", b"q\"r", b"\t", b"d$x", b"~h", b"h~", b"#c", b"p*", b"e=f", b"[", b"]",
        b"{", b"i'\"s", b"it's $x", b"\xffa b", b"n\nl\r", b"it's#", b"@,%+",
    ];
    let names = names.map(OsStr::from_bytes);
    alike(
        &folder,
        std::iter::once(OsStr::new("--")).chain(names.into_iter().filter(|name| *name != "n\nl")),
    );
}

/// Both print the same, byte for byte, but for their names; wrong usage is 2 with us, as everywhere in panup.
#[cfg(unix)]
fn alike<'a>(folder: &Folder, args: impl Iterator<Item = &'a OsStr>) {
    let args: Vec<&OsStr> = args.collect();
    let mut md5sum = Command::new("md5sum");
    // Which names are text depends on it.
    md5sum.args(&args).env("LC_ALL", "C.UTF-8");
    let theirs = folder.run(&mut md5sum, b"");
    let mut panup = Command::new(env!("CARGO_BIN_EXE_panup"));
    let ours = folder.run(panup.arg("hash").args(&args), b"");
    assert_eq!(lines(&ours), lines(&theirs), "{args:?}");
    let words = complaints(&theirs).replace("md5sum: ", "panup: ");
    let words = words.replace("'md5sum --help'", "'panup hash --help'");
    assert_eq!(complaints(&ours), words, "{args:?}");
    let code = match words.contains("--help") {
        true => Some(2),
        false => theirs.status.code(),
    };
    assert_eq!(ours.status.code(), code, "{args:?}");
}

#[test]
fn several_lists_and_standard_input() {
    let folder = Folder::new();
    folder.write("a", b"a");
    let list = line("a", b"a");
    folder.write("one", list.as_bytes());
    assert_eq!(
        good(&folder.hash(&["--check", "one", "one"])),
        "a: OK\na: OK\n"
    );
    assert_eq!(
        good(&folder.hash_input(&["--check", "-"], list.as_bytes())),
        "a: OK\n"
    );
    assert_eq!(
        good(&folder.hash_input(&["--check"], list.as_bytes())),
        "a: OK\n"
    );
    let output = folder.hash(&["--check", "nolist", "one"]);
    assert_eq!(
        (output.status.code(), lines(&output).as_str()),
        (Some(1), "a: OK\n")
    );
    assert_eq!(
        complaints(&output),
        "panup: nolist: No such file or directory\n"
    );
    // Standard input is the list, so it cannot be a file on it too.
    let output = folder.hash_input(&["--check"], line("-", b"").as_bytes());
    assert_eq!(output.status.code(), Some(1));
    assert!(complaints(&output).contains("'standard input': no properly formatted"));
}

#[test]
fn wrong_usage() {
    let folder = Folder::new();
    folder.write("a", b"a");
    for args in [
        &["--quiet", "a"][..],
        &["--status", "a"],
        &["--strict"],
        &["--slices=0", "a"],
        &["--threads=0", "a"],
        &["--slices=x", "a"],
    ] {
        let output = folder.hash(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert_eq!(lines(&output), "", "{args:?}");
    }
}

/// Large enough that hashing takes a while, and holes cost no room.
const LARGE: u64 = 256 << 20;

fn sparse(folder: &Folder, name: &str) -> PathBuf {
    let path = folder.path(name);
    let file = File::create(&path).expect("a file");
    file.set_len(LARGE).expect("holes");
    path
}

fn options(threads: usize, slice_size: Option<u64>) -> HashOptions {
    let mut options = HashOptions::default();
    options.threads = Some(threads);
    options.slice_size = slice_size;
    options
}

fn poll(mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(300);
    while !done() {
        assert!(Instant::now() < deadline, "it never came");
        std::thread::yield_now();
    }
}

/// One chain; a chain and its slices beside it; lanes; lanes with slices.
#[test]
fn a_file_truncated_while_it_is_hashed_is_an_error() {
    for (count, slice_size) in [(1, None), (1, Some(1 << 20)), (3, None), (3, Some(1 << 20))] {
        let folder = Folder::new();
        let paths: Vec<PathBuf> = (0..count)
            .map(|number| sparse(&folder, &number.to_string()))
            .collect();
        let inputs = paths.clone().into_iter().map(Input::File);
        // One thread begins with the first file, whoever else is in its lanes.
        let threads = if count == 1 { 2 } else { 1 };
        let mut sums = hash_files(inputs, &options(threads, slice_size)).expect("threads");
        poll(|| sums.progress().snapshot().hashed > 0);
        let cut = File::options().write(true).open(&paths[0]).expect("there");
        cut.set_len(4096).expect("shorter");
        let error = sums.next().expect("one a file").sum.expect_err("cut");
        assert_eq!(error.kind(), Kind::Source);
        assert!(error.to_string().contains("truncated"), "{error}");
        assert_eq!(error.path(), Some(paths[0].as_path()));
        let others: Vec<_> = sums.map(|file| file.sum.expect("whole").md5).collect();
        assert_eq!(others.len(), count - 1);
        assert!(others.iter().all(|md5| *md5 == others[0]));
    }
}

#[test]
fn dropped_sums_stop_the_work() {
    for (slice_size, is_listed) in [(None, false), (Some(1 << 20), false), (None, true)] {
        let folder = Folder::new();
        let path = sparse(&folder, "f");
        let input = match is_listed {
            true => Input::RegularFile(path),
            false => Input::File(path),
        };
        let inputs = std::iter::repeat_n(input, 1000);
        let sums = hash_files(inputs, &options(2, slice_size)).expect("threads");
        let progress = Arc::clone(sums.progress());
        poll(|| progress.snapshot().hashed > 0);
        drop(sums);
        // Every thread lets go of the counters when it ends.
        poll(|| Arc::strong_count(&progress) == 1);
        assert!(progress.snapshot().hashed < 100 * LARGE);
    }
}

#[test]
fn counters_end_where_the_files_do() {
    let folder = Folder::new();
    let files = folder.sizes("d");
    let bytes: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
    let paths = files.iter().map(|(name, _)| Input::File(folder.path(name)));
    let inputs: Vec<Input> = paths.chain([Input::File("gone".into())]).collect();
    for slice_size in [None, Some(65_536)] {
        let mut sums = hash_files(inputs.clone(), &options(2, slice_size)).expect("threads");
        let failed = sums.by_ref().filter(|file| file.sum.is_err()).count();
        assert_eq!(failed, 1);
        let counted = sums.progress().snapshot();
        let files = [counted.files, counted.files_done];
        assert_eq!(files, [SIZES.len() as u64 + 1; 2]);
        assert_eq!([counted.bytes, counted.hashed], [bytes as u64; 2]);
    }
}

/// Sizes that are known once a file is open: none for a batch, several batches, and mapped.
#[test]
fn files_that_a_listing_found_are_hashed_like_those_that_were_looked_at() {
    let folder = Folder::new();
    let mut sizes: Vec<usize> = [0, 1, 300 << 10].repeat(60);
    sizes.extend([5 << 20, 4 << 20, 1 << 10]);
    let paths: Vec<PathBuf> = (0..sizes.len())
        .map(|n| folder.path(&n.to_string()))
        .collect();
    for (n, (path, size)) in paths.iter().zip(&sizes).enumerate() {
        std::fs::write(path, vec![n as u8; *size]).expect("room");
    }
    let md5s = |input: fn(PathBuf) -> Input| {
        let inputs = paths.clone().into_iter().map(input);
        let mut sums = hash_files(inputs, &options(2, None)).expect("threads");
        let md5s: Vec<_> = sums
            .by_ref()
            .map(|file| file.sum.expect("hashed").md5)
            .collect();
        (md5s, sums.progress().snapshot())
    };
    assert_eq!(md5s(Input::RegularFile), md5s(Input::File));
}

#[test]
fn what_is_no_regular_file_any_more_holds_nothing_up() {
    let folder = Folder::new();
    let pipe = folder.path("pipe");
    if cfg!(windows) {
        std::fs::create_dir(&pipe).expect("made");
    } else {
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.expect("mkfifo").success());
    }
    let well = folder.path("well");
    std::fs::write(&well, "contents").expect("room");
    let inputs = [&pipe, &folder.path("gone"), &well].map(|path| Input::RegularFile(path.clone()));
    let sums: Vec<_> = hash_files(inputs, &options(1, None))
        .expect("threads")
        .collect();
    for file in &sums[..2] {
        let error = file.sum.as_ref().expect_err("no file");
        assert_eq!(error.kind(), Kind::Source, "{error}");
        assert_eq!(error.path(), file.input.path());
    }
    assert!(sums[2].sum.is_ok());
}

#[test]
fn a_folder_is_no_file() {
    let folder = Folder::new();
    let inputs = [Input::File(folder.0.path().to_owned())];
    let mut sums = hash_files(inputs, &HashOptions::default()).expect("threads");
    let error = sums.next().expect("one").sum.expect_err("a folder");
    assert!(error.message().contains("is a directory"), "{error}");
    assert!(sums.next().is_none());
    assert!(Path::new(error.path().expect("named")).is_dir());
}
