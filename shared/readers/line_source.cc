// SPDX-License-Identifier: Apache-2.0
#include "shared/readers/line_source.h"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

namespace auspex {
namespace {

// Source: libarchive's own default for reading files is 10 KiB; 256 KiB halves the time on .xz.
constexpr size_t kBlockBytes = 256 * 1024;

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

// What to tell of a failed call.
std::string reason(archive* handle) {
  constexpr std::string_view kTruncated = "the compressed data is truncated";
  const char* text = archive_error_string(handle);
  const std::string_view words = text != nullptr ? text : "";
  // liblzma tells of its calls here, and libarchive has no words for a gzip trailer cut short.
  if (words.ends_with("No progress is possible")) return std::string(kTruncated);
  if (!words.empty()) return std::string(words);
  const bool gzip = archive_filter_code(handle, 0) == ARCHIVE_FILTER_GZIP;
  return std::string(gzip ? kTruncated : "unknown reason");
}

Error archive_error(const std::string& path, archive* handle) {
  return Error{path + ": cannot be read: " + reason(handle)};
}

uint64_t size_on_disk(const std::string& path) {
  std::error_code failure;
  if (!std::filesystem::is_regular_file(path, failure)) return 0;
  const uintmax_t size = std::filesystem::file_size(path, failure);
  return failure ? 0 : size;
}

}  // namespace

void LineSource::Close::operator()(archive* handle) const {
  archive_read_free(handle);
}

LineSource::LineSource(std::string path, std::unique_ptr<archive, Close> handle)
    : path_(std::move(path)), handle_(std::move(handle)), buffer_(kBlockBytes, '\0') {
  bytes_total_ = size_on_disk(path_);
}

Result<LineSource> LineSource::open(const std::string& path) {
  std::unique_ptr<archive, Close> handle(archive_read_new());
  if (handle == nullptr) return Error{path + ": cannot be read: out of memory"};
  // Not "filter all": that one starts external programs for some formats.
  archive_read_support_filter_gzip(handle.get());
  archive_read_support_filter_xz(handle.get());
  archive_read_support_filter_bzip2(handle.get());
  archive_read_support_format_raw(handle.get());
  archive_read_support_format_empty(handle.get());
  if (archive_read_open_filename(handle.get(), path.c_str(), kBlockBytes) != ARCHIVE_OK) {
    return archive_error(path, handle.get());
  }
  archive_entry* entry = nullptr;
  const int status = archive_read_next_header(handle.get(), &entry);
  if (status != ARCHIVE_OK && status != ARCHIVE_EOF) return archive_error(path, handle.get());
  // At the end already: an empty file, whose reads below deliver nothing either.
  if (status == ARCHIVE_EOF) handle.reset();
  return LineSource(path, std::move(handle));
}

Error LineSource::read_error() const {
  if (line_number_ == 0) return archive_error(path_, handle_.get());
  return Error{path_ + ": cannot be read after line " + std::to_string(line_number_) + ": " +
               reason(handle_.get())};
}

// False at the end of the file.
Result<bool> LineSource::fill() {
  if (handle_ == nullptr) return false;
  const la_ssize_t size = archive_read_data(handle_.get(), buffer_.data(), buffer_.size());
  if (size < 0) return read_error();
  constexpr int kOnDisk = -1;  // the last of the filters, which reads the file
  bytes_read_ = static_cast<uint64_t>(archive_filter_bytes(handle_.get(), kOnDisk));
  ++blocks_read_;
  unread_ = std::string_view(buffer_.data(), static_cast<size_t>(size));
  return size > 0;
}

void LineSource::append(std::string_view text) {
  const size_t room = kMaxLineBytes - carried_.size();
  if (text.size() > room) overlong_ = true;
  carried_.append(text.substr(0, room));
  line_bytes_ += text.size();
}

Result<bool> LineSource::next(std::string_view& line) {
  carried_.clear();
  overlong_ = false;
  line_bytes_ = 0;
  size_t end = unread_.find('\n');
  bool any = !unread_.empty();
  if (end == std::string_view::npos) {
    // The line goes on in the next block, so its pieces are gathered.
    while (end == std::string_view::npos) {
      append(unread_);
      unread_ = {};
      if (line_bytes_ > kHopelessLineBytes) {
        return Error{path_ + ":" + std::to_string(line_number_ + 1) + ": the line is longer than " +
                     std::to_string(kHopelessLineBytes) + " bytes: no job history"};
      }
      Result<bool> more = fill();
      if (!more) return more.error();
      if (!*more) break;
      any = true;
      end = unread_.find('\n');
    }
    if (!any) return false;
    if (end != std::string_view::npos) append(unread_.substr(0, end));
    line = carried_;
  } else {
    line = unread_.substr(0, end);
    overlong_ = line.size() > kMaxLineBytes;
    line = line.substr(0, kMaxLineBytes);
  }
  if (end != std::string_view::npos) unread_.remove_prefix(end + 1);
  ++line_number_;
  if (line_number_ == 1 && line.starts_with(kByteOrderMark)) line.remove_prefix(3);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return true;
}

}  // namespace auspex
