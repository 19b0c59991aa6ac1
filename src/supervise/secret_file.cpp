#include "supervise/secret_file.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

namespace millrace::supervise {

base::Result<SecretFile> SecretFile::make(const std::string& secret) {
  const auto failed = [] {
    return base::fatal(fmt::format("cannot keep a secret in memory: {}", std::strerror(errno)), errno);
  };
  SecretFile made(::memfd_create("millrace-secret", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (made.file_ < 0) return failed();
  if (::write(made.file_, secret.data(), secret.size()) != static_cast<ssize_t>(secret.size()))
    return failed();
  if (::fcntl(made.file_, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0)
    return failed();
  return made;
}

SecretFile::~SecretFile() {
  if (file_ >= 0) ::close(file_);
}

}  // namespace millrace::supervise
