# Installs the packed source with its production dependencies. `url` and `sha256` are set at a release.
class Dbgate < Formula
  desc "Production PostgreSQL for people and AI agents, without handing out the password"
  homepage "https://github.com/dbgate-dev/dbgate"
  url "https://github.com/dbgate-dev/dbgate/releases/download/v0.1.0/dbgate-0.1.0.tgz"
  sha256 "0000000000000000000000000000000000000000000000000000000000000000"
  license "MIT"

  depends_on "node"

  def install
    system "npm", "install", "--omit=dev", *std_npm_args
    bin.install_symlink libexec.glob("bin/*")
  end

  service do
    run [opt_bin/"dbgate", "serve", "--config", etc/"dbgate/dbgate.yaml"]
    keep_alive true
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/dbgate --version")
  end
end
