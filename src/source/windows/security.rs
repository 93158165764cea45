//! Who may do what with a file. In: open files, and a folder that is to be made. Out: its owner and its
//! access list as text (SDDL). Never: a change of what is there.

use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::os::windows::ffi::OsStrExt;
use std::os::windows::io::AsRawHandle;
use std::path::Path;
use std::ptr::null_mut;

use windows_sys::Win32::Foundation::{CloseHandle, HANDLE, LocalFree};
use windows_sys::Win32::Security::Authorization::{
    ConvertSecurityDescriptorToStringSecurityDescriptorW, ConvertSidToStringSidW,
    ConvertStringSecurityDescriptorToSecurityDescriptorW, GetSecurityInfo, SDDL_REVISION_1,
    SE_FILE_OBJECT,
};
use windows_sys::Win32::Security::{
    DACL_SECURITY_INFORMATION, GetTokenInformation, OWNER_SECURITY_INFORMATION,
    SECURITY_ATTRIBUTES, TOKEN_QUERY, TOKEN_USER, TokenUser,
};
use windows_sys::Win32::Storage::FileSystem::CreateDirectoryW;
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

/// The owner and the access list of an open file or folder.
///
/// # Errors
/// They cannot be read.
pub fn described(file: &File) -> io::Result<String> {
    let what = OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION;
    let (mut found, mut text) = (Local::none(), Local::none());
    // SAFETY: the handle is open as long as `file` is borrowed. Only the whole descriptor is asked
    // for, and it is ours to free.
    let error = unsafe {
        let handle = file.as_raw_handle();
        let place = &raw mut found.0;
        let (none, kind) = (null_mut(), SE_FILE_OBJECT);
        GetSecurityInfo(
            handle,
            kind,
            what,
            none,
            none,
            null_mut(),
            null_mut(),
            place,
        )
    };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error.cast_signed()));
    }
    let mut length = 0;
    // SAFETY: `found` is a descriptor until the end of this function; the text is ours to free.
    must(unsafe {
        let place = (&raw mut text.0).cast();
        let (from, length) = (found.0, &raw mut length);
        ConvertSecurityDescriptorToStringSecurityDescriptorW(
            from,
            SDDL_REVISION_1,
            what,
            place,
            length,
        )
    })?;
    Ok(text.text())
}

/// Whose process this is, as SDDL writes it.
///
/// # Errors
/// The system does not say.
pub fn our_sid() -> io::Result<String> {
    let mut token = Token(null_mut());
    // SAFETY: the pseudo handle of this process is always good; the token is ours to close.
    must(unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &raw mut token.0) })?;
    // Words, so that the structure at its front lies as it must; a SID is 68 bytes at most.
    let mut user = [0_u64; 32];
    let mut length = 0;
    // SAFETY: the buffer is as long as is said.
    must(unsafe {
        let size = size_of_val(&user) as u32;
        GetTokenInformation(
            token.0,
            TokenUser,
            user.as_mut_ptr().cast(),
            size,
            &raw mut length,
        )
    })?;
    let mut text = Local::none();
    // SAFETY: the call above filled the buffer with this structure, whose SID lies behind it in the
    // same buffer; the text is ours to free.
    must(unsafe {
        let user = &*user.as_ptr().cast::<TOKEN_USER>();
        ConvertSidToStringSidW(user.User.Sid, (&raw mut text.0).cast())
    })?;
    Ok(text.text())
}

/// Makes the folder `path`, with the access list that `sddl` says.
///
/// # Errors
/// It is there, or cannot be made.
pub fn make_folder(path: &Path, sddl: &str) -> io::Result<()> {
    let sddl: Vec<u16> = sddl.encode_utf16().chain([0]).collect();
    let path: Vec<u16> = path.as_os_str().encode_wide().chain([0]).collect();
    let mut descriptor = Local::none();
    // SAFETY: the text ends with a zero; the descriptor is ours to free.
    must(unsafe {
        let (text, place) = (sddl.as_ptr(), &raw mut descriptor.0);
        ConvertStringSecurityDescriptorToSecurityDescriptorW(
            text,
            SDDL_REVISION_1,
            place,
            null_mut(),
        )
    })?;
    let attributes = SECURITY_ATTRIBUTES {
        nLength: size_of::<SECURITY_ATTRIBUTES>() as u32,
        lpSecurityDescriptor: descriptor.0,
        bInheritHandle: 0,
    };
    // SAFETY: the path ends with a zero, and both structures live until the call returns.
    must(unsafe { CreateDirectoryW(path.as_ptr(), &raw const attributes) })
}

fn must(said: i32) -> io::Result<()> {
    match said {
        0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Memory that the system gave, and that is to be freed.
struct Local(*mut c_void);

impl Local {
    fn none() -> Local {
        Local(null_mut())
    }

    /// It is a text that ends with a zero.
    fn text(&self) -> String {
        let mut units = Vec::new();
        let mut at: *const u16 = self.0.cast();
        // SAFETY: the system ended the text that it gave with a zero; nothing behind it is read.
        unsafe {
            while !at.is_null() && *at != 0 {
                units.push(*at);
                at = at.add(1);
            }
        }
        String::from_utf16_lossy(&units)
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        // SAFETY: it came from the system, and is freed once; nothing is no fault.
        unsafe { LocalFree(self.0) };
    }
}

struct Token(HANDLE);

impl Drop for Token {
    fn drop(&mut self) {
        // SAFETY: it was opened by us, and is closed once.
        unsafe { CloseHandle(self.0) };
    }
}
