// SPDX-License-Identifier: Apache-2.0
#include "shared/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace auspex {

Error system_error(const std::string& path) {
  return Error{path + ": " + std::strerror(errno)};
}

FileDescriptor::FileDescriptor(FileDescriptor&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)) {}

FileDescriptor& FileDescriptor::operator=(FileDescriptor&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

FileDescriptor::~FileDescriptor() {
  close();
}

int FileDescriptor::close() {
  const int fd = std::exchange(fd_, -1);
  return fd >= 0 ? ::close(fd) : 0;
}

Result<RegularFile> open_regular(const std::string& path) {
  RegularFile out{FileDescriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK))};
  struct stat info {};
  if (out.file.get() < 0 || ::fstat(out.file.get(), &info) != 0) return system_error(path);
  if (!S_ISREG(info.st_mode)) return Error{path + ": not a regular file"};
  out.bytes = static_cast<uint64_t>(info.st_size);
  return out;
}

ssize_t read_at(int fd, void* to, size_t size, uint64_t offset) {
  size_t have = 0;
  while (have < size) {
    const ssize_t got = ::pread(fd, static_cast<uint8_t*>(to) + have, size - have,
                                static_cast<off_t>(offset + have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return -1;
    if (got == 0) break;
    have += static_cast<size_t>(got);
  }
  return static_cast<ssize_t>(have);
}

bool write_at(int fd, const void* from, size_t size, uint64_t offset) {
  for (size_t done = 0; done < size;) {
    const ssize_t written = ::pwrite(fd, static_cast<const uint8_t*>(from) + done, size - done,
                                     static_cast<off_t>(offset + done));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    done += static_cast<size_t>(written);
  }
  return true;
}

ReplacingFile::ReplacingFile(std::string path, std::string temporary, int fd)
    : path_(std::move(path)), temporary_(std::move(temporary)), file_(fd) {}

Result<ReplacingFile> ReplacingFile::create(const std::string& path) {
  std::string temporary = path + ".XXXXXX";
  const int fd = ::mkostemp(temporary.data(), O_CLOEXEC);
  if (fd < 0) return system_error(path);
  return ReplacingFile(path, std::move(temporary), fd);
}

ReplacingFile::~ReplacingFile() {
  if (file_.get() >= 0) ::unlink(temporary_.c_str());
}

bool ReplacingFile::moved_into_place() {
  return ::fchmod(file_.get(), 0644) == 0 && ::fsync(file_.get()) == 0 &&
         ::rename(temporary_.c_str(), path_.c_str()) == 0;
}

Status ReplacingFile::replace() {
  const Result<FileDescriptor> kept = replace_and_keep();
  if (!kept) return kept.error();
  return Done{};
}

Result<FileDescriptor> ReplacingFile::replace_and_keep() {
  if (!moved_into_place()) return system_error(path_);
  return std::move(file_);
}

}  // namespace auspex
