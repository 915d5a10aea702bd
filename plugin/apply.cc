// SPDX-License-Identifier: Apache-2.0
#include "plugin/apply.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "ipc/protocol.h"

namespace auspex::plugin {
namespace {

bool is_one_line(const std::optional<std::string>& text, size_t max_bytes) {
  if (!text) return true;
  return text->size() <= max_bytes && std::none_of(text->begin(), text->end(), [](char c) {
           const auto byte = static_cast<unsigned char>(c);
           return byte < 0x20 || byte == 0x7f;
         });
}

bool is_tres(const std::optional<std::string>& text) {
  constexpr std::string_view kAllowed =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:/=,-;";
  return !text || (!text->empty() && text->size() <= ipc::kMaxNameBytes &&
                   text->find_first_not_of(kAllowed) == std::string::npos);
}

// What time_limit and time_min would be afterwards; NO_VAL compares above every real limit.
uint32_t limit_after(const Edits& edits, const job_desc_msg_t& job) {
  return edits.time_limit_min.value_or(job.time_limit);
}

void replace(char*& field, const std::string& text) {
  char* copy = slurm_xstrdup(text.c_str());
  if (copy == nullptr) return;
  slurm_xfree(reinterpret_cast<void**>(&field));
  field = copy;
}

void append(char*& field, const std::optional<std::string>& text) {
  if (!text || text->empty()) return;
  replace(field, field == nullptr || *field == '\0' ? *text : std::string(field) + ' ' + *text);
}

}  // namespace

std::optional<std::string> objection(const Edits& edits, const job_desc_msg_t& job) {
  if (edits.time_limit_min) {
    const uint32_t limit = *edits.time_limit_min;
    if (limit == 0 || limit >= NO_VAL) return "time limit " + std::to_string(limit);
    if (job.time_limit != NO_VAL && limit > job.time_limit) {
      return "time limit " + std::to_string(limit) + " above the asked " +
             std::to_string(job.time_limit);
    }
    if (!edits.time_min_min && job.time_min != NO_VAL && job.time_min > limit) {
      return "time limit " + std::to_string(limit) + " below the asked time_min " +
             std::to_string(job.time_min);
    }
  }
  if (edits.time_min_min) {
    const uint32_t time_min = *edits.time_min_min;
    if (time_min == 0 || time_min >= NO_VAL || time_min > limit_after(edits, job)) {
      return "time_min " + std::to_string(time_min);
    }
  }
  if (edits.site_factor &&
      (*edits.site_factor > kMaxSiteFactor || *edits.site_factor < -kMaxSiteFactor)) {
    return "site factor " + std::to_string(*edits.site_factor);
  }
  for (const auto* tres :
       {&edits.tres_per_job, &edits.tres_per_node, &edits.tres_per_socket, &edits.tres_per_task}) {
    if (!is_tres(*tres)) return "a TRES text that is none";
  }
  // Slurm refuses a job whose comment is longer, and it looks after us. Source: tried on 22.05.8.
  constexpr size_t kMaxCommentBytes = 1024;
  if (edits.comment && job.comment != nullptr &&
      std::strlen(job.comment) + 1 + edits.comment->size() > kMaxCommentBytes) {
    return "a comment that leaves no room for the user's";
  }
  if (!is_one_line(edits.comment, ipc::kMaxTextBytes) ||
      !is_one_line(edits.admin_comment, ipc::kMaxTextBytes) ||
      !is_one_line(edits.message, ipc::kMaxMessageLineBytes)) {
    return "a text that is too long or not one line";
  }
  return std::nullopt;
}

void apply(const Edits& edits, job_desc_msg_t& job, char** message) {
  if (edits.time_limit_min) job.time_limit = *edits.time_limit_min;
  if (edits.time_min_min) job.time_min = *edits.time_min_min;
  if (edits.site_factor) {
    job.site_factor = NICE_OFFSET + static_cast<uint32_t>(*edits.site_factor);
  }
  if (edits.tres_per_job) replace(job.tres_per_job, *edits.tres_per_job);
  if (edits.tres_per_node) replace(job.tres_per_node, *edits.tres_per_node);
  if (edits.tres_per_socket) replace(job.tres_per_socket, *edits.tres_per_socket);
  if (edits.tres_per_task) replace(job.tres_per_task, *edits.tres_per_task);
  append(job.comment, edits.comment);
  append(job.admin_comment, edits.admin_comment);
  if (message != nullptr && *message == nullptr && edits.message && !edits.message->empty()) {
    *message = slurm_xstrdup(edits.message->c_str());
  }
}

}  // namespace auspex::plugin
