// SPDX-License-Identifier: Apache-2.0
// Files of ours: descriptors that close themselves, and files that replace others as a whole.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "shared/result.h"

namespace auspex {

// "PATH: what errno says".
Error system_error(const std::string& path);

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd = -1) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept;
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;
  ~FileDescriptor();
  int get() const { return fd_; }
  // 0, or -1 with errno: an error that a write held back may come only now.
  int close();

 private:
  int fd_;
};

struct RegularFile {
  FileDescriptor file;
  uint64_t bytes = 0;
};
// For reading. Errors: absent, unreadable; not a regular file: a pipe of that name is not waited
// for.
Result<RegularFile> open_regular(const std::string& path);

// Signals or not. read_at: fewer bytes only at the end of the file, -1 on an error.
ssize_t read_at(int fd, void* to, size_t size, uint64_t offset);
bool write_at(int fd, const void* from, size_t size, uint64_t offset);

// A file that stands aside until it is whole: the one of that name stays until then, and if this
// one is dropped before, for good.
class ReplacingFile {
 public:
  // Errors: no file can be made there.
  static Result<ReplacingFile> create(const std::string& path);
  ReplacingFile(ReplacingFile&&) = default;
  ReplacingFile& operator=(ReplacingFile&&) = delete;
  ~ReplacingFile();

  int fd() const { return file_.get(); }
  // Synced, readable by all, and in its place. Errors: it could not be.
  Status replace();
  // The same, and stays open for more.
  Result<FileDescriptor> replace_and_keep();

 private:
  ReplacingFile(std::string path, std::string temporary, int fd);
  bool moved_into_place();

  std::string path_, temporary_;
  FileDescriptor file_;
};

}  // namespace auspex
