// SPDX-License-Identifier: Apache-2.0
// LineSource: the lines of a file that may be compressed, one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "shared/result.h"

struct archive;

namespace auspex {

// The rest of a longer line is dropped and overlong() says so.
// Source: ARG_MAX of Linux is 2 MiB and sacct cuts nothing, yet a submit line that a person wrote
// stays far below; the bound keeps a binary file without line ends from filling the memory.
inline constexpr size_t kMaxLineBytes = 1 << 20;

// A line longer than this ends the reading: no row is, and gigabytes without a line end would only
// take time.
inline constexpr uint64_t kHopelessLineBytes = 16 << 20;

class LineSource {
 public:
  // Errors: names the file and why it cannot be read.
  static Result<LineSource> open(const std::string& path);

  // False at the end. Lines come without their end (LF or CRLF) and without a byte order mark;
  // `line` is valid until the next call.
  // Errors: names the file and the line: damaged or truncated compression, a failing read, a
  // hopelessly long line.
  Result<bool> next(std::string_view& line);

  uint64_t line_number() const { return line_number_; }  // of the last line, from 1
  bool overlong() const { return overlong_; }            // whether the last line was cut

  // Where reading stands in the file as it lies on disk, and that file's size; a pipe's is 0.
  uint64_t bytes_read() const { return bytes_read_; }
  uint64_t bytes_total() const { return bytes_total_; }
  uint64_t blocks_read() const { return blocks_read_; }

 private:
  struct Close {
    void operator()(archive* handle) const;
  };

  LineSource(std::string path, std::unique_ptr<archive, Close> handle);
  Error read_error() const;
  Result<bool> fill();
  void append(std::string_view text);

  std::string path_;
  std::unique_ptr<archive, Close> handle_;
  std::string buffer_;       // a block of decompressed bytes
  std::string_view unread_;  // what of it has not been delivered
  std::string carried_;      // the head of a line that began in an earlier block
  uint64_t line_bytes_ = 0;  // of that line so far, with what was dropped
  uint64_t line_number_ = 0;
  uint64_t bytes_read_ = 0;
  uint64_t bytes_total_ = 0;
  uint64_t blocks_read_ = 0;
  bool overlong_ = false;
};

}  // namespace auspex
