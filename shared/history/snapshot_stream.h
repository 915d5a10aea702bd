// SPDX-License-Identifier: Apache-2.0
// How a snapshot's numbers get into its file and out of it: through a buffer, under a checksum.
#pragma once

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <type_traits>
#include <vector>

#include "shared/file.h"

namespace auspex::snapshot {

static_assert(std::endian::native == std::endian::little, "numbers are written as they lie");

inline constexpr size_t kBufferBytes = size_t{1} << 20;

struct Header {
  char magic[8] = {};
  uint32_t version = 0;
  uint32_t history_version = 0;
  uint32_t feature_version = 0;
  uint32_t zero = 0;
  uint64_t payload_bytes = 0;
  uint64_t checksum = 0;
};
static_assert(std::has_unique_object_representations_v<Header>);

class Checksum {
 public:
  Checksum() : state_(XXH3_createState()) {
    if (state_ == nullptr || XXH3_64bits_reset(state_.get()) != XXH_OK) std::abort();
  }
  void add(const void* data, size_t size) { XXH3_64bits_update(state_.get(), data, size); }
  // Of what was added and then of the header.
  uint64_t with(const Header& header) {
    add(&header, offsetof(Header, checksum));
    return XXH3_64bits_digest(state_.get());
  }

 private:
  struct Free {
    void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
  };
  std::unique_ptr<XXH3_state_t, Free> state_;
};

// A number, without padding whose bytes would be anybody's.
template <class T>
concept Plain = std::is_arithmetic_v<T> || std::is_enum_v<T>;

class Writer {
 public:
  explicit Writer(int fd) : fd_(fd) { buffer_.reserve(kBufferBytes); }

  template <Plain T>
  void put(T value) {
    if (buffer_.size() + sizeof(T) > kBufferBytes) flush();
    const auto* bytes = reinterpret_cast<const uint8_t*>(&value);
    buffer_.insert(buffer_.end(), bytes, bytes + sizeof(T));
  }

  // What was put since is the payload; the header takes its place at the beginning of the file.
  bool finish(Header header) {
    flush();
    header.payload_bytes = written_;
    header.checksum = checksum_.with(header);
    return ok_ && write_at(fd_, &header, sizeof(header), 0);
  }

 private:
  void flush() {
    checksum_.add(buffer_.data(), buffer_.size());
    ok_ = ok_ && write_at(fd_, buffer_.data(), buffer_.size(), sizeof(Header) + written_);
    written_ += buffer_.size();
    buffer_.clear();
  }

  int fd_;
  std::vector<uint8_t> buffer_;
  Checksum checksum_;
  uint64_t written_ = 0;
  bool ok_ = true;
};

// Reads the payload in pieces. Once it has failed, it gives zeros.
class Reader {
 public:
  Reader(int fd, uint64_t payload_bytes)
      : fd_(fd), end_(sizeof(Header) + payload_bytes), buffer_(kBufferBytes) {}

  // The next piece; empty at the end and on failure.
  std::span<const uint8_t> piece() {
    const uint64_t wanted = std::min<uint64_t>(end_ - next_, kBufferBytes);
    ok_ = ok_ && read_at(fd_, buffer_.data(), wanted, next_) == static_cast<ssize_t>(wanted);
    if (!ok_) return {};
    next_ += wanted;
    return {buffer_.data(), wanted};
  }

  template <Plain T>
  T get() {
    std::array<uint8_t, sizeof(T)> bytes{};
    for (size_t have = 0; have < sizeof(T) && ok_;) {
      if (piece_.empty()) {
        piece_ = piece();
        if (piece_.empty()) ok_ = false;
      }
      const size_t size = std::min(sizeof(T) - have, piece_.size());
      std::copy_n(piece_.begin(), size, bytes.begin() + static_cast<ptrdiff_t>(have));
      piece_ = piece_.subspan(size);
      have += size;
    }
    return ok_ ? std::bit_cast<T>(bytes) : T{};
  }
  bool ok() const { return ok_; }
  bool at_end() const { return next_ == end_ && piece_.empty(); }

 private:
  int fd_;
  uint64_t end_;
  uint64_t next_ = sizeof(Header);  // where in the file the next piece begins
  std::vector<uint8_t> buffer_;
  std::span<const uint8_t> piece_;
  bool ok_ = true;
};

}  // namespace auspex::snapshot
