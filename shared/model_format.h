// SPDX-License-Identifier: Apache-2.0
// How a model file begins; shared by its reader and its writer.
#pragma once

#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include "shared/result.h"

namespace auspex {

static_assert(std::endian::native == std::endian::little, "the file is used as it lies");

inline constexpr char kModelMagic[8] = {'A', 'U', 'S', 'P', 'E', 'X', 'M', 'F'};
inline constexpr size_t kModelAlignment =
    32;  // the most that FlatBuffers 2.0 gives; an AVX2 register

struct ModelHeader {
  char magic[8];
  uint32_t version;
  uint32_t zero;
  uint64_t payload_bytes;
  uint64_t checksum;  // XXH3 of the payload
  uint8_t padding[32];
};
static_assert(sizeof(ModelHeader) % kModelAlignment == 0);

inline Error system_error(const std::string& path) {
  return Error{path + ": " + std::strerror(errno)};
}

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() { close(); }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return fd_; }
  int close() {
    const int fd = fd_;
    fd_ = -1;
    return fd >= 0 ? ::close(fd) : 0;
  }

 private:
  int fd_;
};

}  // namespace auspex
