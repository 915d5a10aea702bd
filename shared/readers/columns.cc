// SPDX-License-Identifier: Apache-2.0
#include "shared/readers/columns.h"

#include <algorithm>
#include <string>

#include "shared/printable.h"

namespace auspex {
namespace {

// Long headers are cut in errors: a file of another kind may have anything in its first line.
constexpr size_t kMaxSeenBytes = 400;

// At least one of each line's fields is needed to learn from a history.
constexpr std::array<std::array<Field, 2>, 6> kRequired = {{
    {Field::kId, Field::kId},
    {Field::kSubmit, Field::kSubmit},
    {Field::kStart, Field::kEnd},
    {Field::kState, Field::kState},
    {Field::kRuntime, Field::kRuntime},
    {Field::kLimitMin, Field::kLimitS},
}};

std::string names_of(const std::array<Field, 2>& fields, std::span<const ColumnName> names) {
  std::string text;
  for (const ColumnName& name : names) {
    if (name.field != fields[0] && name.field != fields[1]) continue;
    text.append(text.empty() ? "" : " or ").append(name.name);
  }
  return text;
}

std::string joined(std::span<const std::string_view> header) {
  std::string text;
  for (std::string_view name : header) {
    const std::string shown = printable(name);
    if (text.size() + shown.size() > kMaxSeenBytes) return text + ", ...";
    text.append(text.empty() ? "" : ", ").append(shown);
  }
  return text;
}

}  // namespace

Result<Columns> Columns::bind(std::span<const std::string_view> header,
                              std::span<const ColumnName> names) {
  Columns columns;
  columns.count_ = header.size();
  columns.position_.fill(kAbsent);
  for (const ColumnName& name : names) {
    size_t& position = columns.position_[static_cast<size_t>(name.field)];
    const auto found = std::find(header.begin(), header.end(), name.name);
    if (position != kAbsent || found == header.end()) continue;
    position = static_cast<size_t>(found - header.begin());
  }
  for (const std::array<Field, 2>& fields : kRequired) {
    const bool there = std::any_of(fields.begin(), fields.end(), [&](Field field) {
      return columns.position_[static_cast<size_t>(field)] != kAbsent;
    });
    if (there) continue;
    return Error{"the header lacks the column " + names_of(fields, names) +
                 "; it has: " + joined(header)};
  }
  return columns;
}

RowFields Columns::fields(std::span<const std::string_view> cells) const {
  RowFields row;
  for (size_t field = 0; field < kFieldCount; ++field) {
    const size_t position = position_[field];
    if (position != kAbsent) row[static_cast<Field>(field)] = cells[position];
  }
  return row;
}

}  // namespace auspex
