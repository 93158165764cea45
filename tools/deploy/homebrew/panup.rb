# A template: @VERSION@, @URL@ (the folder of the archives) and @SHA256_…@ are filled in at a release. Not
# run: there was no macOS.
class Panup < Formula
  desc "High-throughput parallel uploader for the 123pan open platform"
  homepage "@HOMEPAGE@"
  version "@VERSION@"
  license any_of: ["MIT", "Apache-2.0"]

  on_macos do
    on_arm do
      url "@URL@/panup-@VERSION@-aarch64-apple-darwin.tar.gz"
      sha256 "@SHA256_AARCH64_APPLE_DARWIN@"
    end
    on_intel do
      url "@URL@/panup-@VERSION@-x86_64-apple-darwin.tar.gz"
      sha256 "@SHA256_X86_64_APPLE_DARWIN@"
    end
  end
  on_linux do
    on_arm do
      url "@URL@/panup-@VERSION@-aarch64-unknown-linux-musl.tar.gz"
      sha256 "@SHA256_AARCH64_UNKNOWN_LINUX_MUSL@"
    end
    on_intel do
      url "@URL@/panup-@VERSION@-x86_64-unknown-linux-musl.tar.gz"
      sha256 "@SHA256_X86_64_UNKNOWN_LINUX_MUSL@"
    end
  end

  def install
    bin.install "panup"
    generate_completions_from_executable(bin/"panup", "completions")
    system bin/"panup", "man", "--dir", buildpath/"pages"
    man1.install Dir[buildpath/"pages/*.1"]
  end

  test do
    (testpath/"file").write "contents"
    system bin/"panup", "upload", "file", "--emulator=#{testpath}/got"
    assert_equal "contents", (testpath/"got/file").read
  end
end
