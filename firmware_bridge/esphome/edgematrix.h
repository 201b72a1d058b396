// Commands as EdgeMatrix sends them, for devices that ESPHome builds (docs/spec/topics.md, "Messages").
//
// A command is a bare payload (a JSON value, a word), or a CloudEvents 1.0 event in the JSON format, whose `data` is the value and
// whose `id` is acknowledged. Nothing is copied into a tree: values stay the text that they came as. Plain C++17, no libraries, so
// that it is tested on the desk with the vectors of the other firmware.
#pragma once

#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace edgematrix {

constexpr size_t DEPTH_MAX = 32;
constexpr size_t ID_LENGTH_MAX = 128;
constexpr size_t IDS_MAX = 16;
constexpr size_t ERROR_LENGTH_MAX = 80;

// Reads JSON from left to right, and stops at the first thing that is none (RFC 8259).
class Reader {
 public:
  explicit Reader(const std::string &text) : text_(text) {}

  size_t at() const { return at_; }

  void space() {
    while (at_ < text_.size() && (peek() == ' ' || peek() == '\t' || peek() == '\n' || peek() == '\r'))
      at_++;
  }

  bool is(char expected) {
    if (at_ >= text_.size() || peek() != expected)
      return false;
    at_++;
    return true;
  }

  // A string; what it spells goes to `out`, if that is there.
  bool string(std::string *out = nullptr) {
    if (!is('"'))
      return false;
    while (at_ < text_.size()) {
      const unsigned char letter = text_[at_++];
      if (letter == '"')
        return true;
      if (letter < 0x20)
        return false;
      if (letter != '\\')
        put(out, letter);
      else if (!escaped(out))
        return false;
    }
    return false;
  }

  // Any value; objects and lists are only looked through.
  bool value(size_t depth = 0) {
    space();
    if (at_ >= text_.size() || depth > DEPTH_MAX)
      return false;
    switch (peek()) {
      case '"':
        return string();
      case '{':
        return members('}', depth);
      case '[':
        return members(']', depth);
      case 't':
        return word("true");
      case 'f':
        return word("false");
      case 'n':
        return word("null");
      default:
        return number();
    }
  }

  bool at_end() {
    space();
    return at_ == text_.size();
  }

 private:
  char peek() const { return text_[at_]; }

  static void put(std::string *out, unsigned char letter) {
    if (out != nullptr)
      out->push_back(static_cast<char>(letter));
  }

  bool word(const char *expected) {
    const std::string wanted(expected);
    if (text_.compare(at_, wanted.size(), wanted) != 0)
      return false;
    at_ += wanted.size();
    return true;
  }

  size_t digits() {
    const size_t start = at_;
    while (at_ < text_.size() && peek() >= '0' && peek() <= '9')
      at_++;
    return at_ - start;
  }

  bool number() {
    is('-');
    const size_t start = at_;
    const size_t whole = digits();
    if (whole == 0 || (whole > 1 && text_[start] == '0'))
      return false;
    if (is('.') && digits() == 0)
      return false;
    if (is('e') || is('E')) {
      if (!is('+'))
        is('-');
      return digits() > 0;
    }
    return true;
  }

  bool members(char end, size_t depth) {
    at_++;
    space();
    if (is(end))
      return true;
    do {
      if (end == '}') {
        space();
        if (!string())
          return false;
        space();
        if (!is(':'))
          return false;
      }
      if (!value(depth + 1))
        return false;
      space();
    } while (is(','));
    return is(end);
  }

  bool hex(unsigned long *code) {
    if (at_ + 4 > text_.size())
      return false;
    *code = 0;
    for (size_t end = at_ + 4; at_ < end; at_++) {
      const char letter = peek();
      const int digit = letter >= '0' && letter <= '9'   ? letter - '0'
                        : letter >= 'a' && letter <= 'f' ? letter - 'a' + 10
                        : letter >= 'A' && letter <= 'F' ? letter - 'A' + 10
                                                         : -1;
      if (digit < 0)
        return false;
      *code = *code * 16 + static_cast<unsigned long>(digit);
    }
    return true;
  }

  bool escaped(std::string *out) {
    if (at_ >= text_.size())
      return false;
    const char letter = text_[at_++];
    static const char names[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    for (size_t i = 0; i < sizeof(names) - 1; i++) {
      if (letter == names[i]) {
        put(out, static_cast<unsigned char>(meant[i]));
        return true;
      }
    }
    unsigned long code = 0;
    if (letter != 'u' || !hex(&code) || (code >= 0xDC00 && code < 0xE000))
      return false;
    if (code >= 0xD800 && code < 0xDC00) {
      unsigned long low = 0;
      if (!is('\\') || !is('u') || !hex(&low) || low < 0xDC00 || low > 0xDFFF)
        return false;
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    utf8(out, code);
    return true;
  }

  static void utf8(std::string *out, unsigned long code) {
    if (code < 0x80)
      return put(out, static_cast<unsigned char>(code));
    const int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const unsigned char heads[] = {0, 0xC0, 0xE0, 0xF0};
    put(out, static_cast<unsigned char>(heads[more] | (code >> (6 * more))));
    for (int i = more - 1; i >= 0; i--)
      put(out, static_cast<unsigned char>(0x80 | ((code >> (6 * i)) & 0x3F)));
  }

  const std::string &text_;
  size_t at_ = 0;
};

// A text as a JSON string.
inline std::string quoted(const std::string &text) {
  std::string out = "\"";
  for (const unsigned char letter : text) {
    if (letter == '"' || letter == '\\') {
      out += '\\';
      out += static_cast<char>(letter);
    } else if (letter < 0x20) {
      char code[8];
      snprintf(code, sizeof(code), "\\u%04x", letter);
      out += code;
    } else {
      out += static_cast<char>(letter);
    }
  }
  return out + "\"";
}

// What goes out on an output port. What is no number is `null`: whoever reads it takes the value for unknown.
inline std::string payload(float value) {
  if (!std::isfinite(value))
    return "null";
  char text[24];
  snprintf(text, sizeof(text), "%.7g", static_cast<double>(value));
  return text;
}
inline std::string payload(int value) { return std::to_string(value); }
inline std::string payload(bool value) { return value ? "true" : "false"; }
// A text goes out as it is, unless it would be read as JSON.
inline std::string payload(const std::string &value) {
  Reader reader(value);
  return reader.value() && reader.at_end() ? quoted(value) : value;
}

// What somebody asks of an input port. `error` tells why it is refused; it is empty otherwise.
class Command {
 public:
  explicit Command(const std::string &text) {
    Reader reader(text);
    if (!reader.value() || !reader.at_end()) {
      value_ = text;  // a word, or whatever else is no JSON
      return;
    }
    is_json_ = true;
    value_ = text;
    event(text);
  }

  bool refuse(const std::string &reason) {
    error = reason.substr(0, ERROR_LENGTH_MAX);
    return false;
  }

  bool read(bool *out) {
    const std::string value = trimmed();
    if (is_json_ && (value == "true" || value == "false")) {
      *out = value == "true";
      return true;
    }
    return refuse("expected true or false");
  }

  bool read(float *out) {
    const std::string value = trimmed();
    if (!is_json_ || value.empty() || (value[0] != '-' && (value[0] < '0' || value[0] > '9')))
      return refuse("expected a number");
    *out = std::strtof(value.c_str(), nullptr);
    return std::isfinite(*out) || refuse("the number is too large");
  }

  bool read(int *out) {
    const std::string value = trimmed();
    if (!is_json_ || value.empty() || (value[0] != '-' && (value[0] < '0' || value[0] > '9')))
      return refuse("expected a whole number");
    const double number = std::strtod(value.c_str(), nullptr);
    if (number != std::floor(number) || std::fabs(number) > 2147483647.0)
      return refuse("expected a whole number of 32 bits");
    *out = static_cast<int>(number);
    return true;
  }

  // A text: a JSON string, or a bare word.
  bool read(std::string *out) {
    if (!is_json_) {
      *out = value_;
      return true;
    }
    const std::string value = trimmed();
    Reader reader(value);
    out->clear();
    return reader.string(out) || refuse("expected a text");
  }

  // The value as the text that it came as: for ports that take any, or an object.
  const std::string &text() const { return value_; }

  bool is_object() { return is_a('{', "an object"); }
  bool is_list() { return is_a('[', "a list"); }

  bool within(double value, double least, double most) {
    return (value >= least && value <= most) || refuse("it is out of range");
  }

  // What is published on `em/ack/{path}`; an id is there for events alone.
  std::string answer() const {
    return "{\"id\": " + quoted(id) + (error.empty() ? "" : ", \"error\": " + quoted(error)) + "}";
  }

  std::string id;
  std::string error;

 private:
  // An object with `specversion` is an event.
  void event(const std::string &text) {
    Reader reader(text);
    reader.space();
    if (!reader.is('{'))
      return;
    std::string version, source, type, data = "null";
    bool is_event = false, twice = false, is_text = true;
    int ids = 0, datas = 0;
    reader.space();
    while (!reader.is('}')) {
      std::string key;
      reader.space();
      reader.string(&key);
      reader.space();
      reader.is(':');
      reader.space();
      const size_t start = reader.at();
      std::string *attribute = key == "id"            ? &id
                               : key == "specversion" ? &version
                               : key == "source"      ? &source
                               : key == "type"        ? &type
                                                      : nullptr;
      if (attribute != nullptr && text[start] == '"') {
        reader.string(attribute);
      } else {
        is_text = is_text && attribute == nullptr;
        reader.value();
      }
      twice = twice || (attribute == &id && ids++ > 0);
      is_event = is_event || attribute == &version;
      if (key == "data") {
        data = text.substr(start, reader.at() - start);
        twice = twice || datas++ > 0;
      } else if (key == "data_base64") {
        refuse("bytes are not taken here");
      }
      reader.space();
      if (reader.is(','))
        reader.space();
    }
    if (!is_event) {
      id.clear();
      error.clear();
      return;
    }
    value_ = data;
    if (version != "1.0" || !is_text || twice || id.empty() || type.empty() || source.empty() || source[0] != '/')
      refuse("malformed event");
    if (id.size() > ID_LENGTH_MAX) {
      id.clear();
      refuse("malformed event: its id is too long");
    }
  }

  bool is_a(char first, const char *what) {
    const std::string value = trimmed();
    return (is_json_ && !value.empty() && value[0] == first) || refuse(std::string("expected ") + what);
  }

  std::string trimmed() const {
    const size_t start = value_.find_first_not_of(" \t\r\n");
    return start == std::string::npos ? "" : value_.substr(start, value_.find_last_not_of(" \t\r\n") - start + 1);
  }

  std::string value_;
  bool is_json_ = false;
};

// Which commands were carried out: one that comes again is acknowledged, and not carried out again.
class Ids {
 public:
  bool has(const std::string &id) const {
    for (const std::string &known : ids_)
      if (!id.empty() && known == id)
        return true;
    return false;
  }

  void add(const std::string &id) {
    if (id.empty())
      return;
    ids_[next_] = id;
    next_ = (next_ + 1) % IDS_MAX;
  }

 private:
  std::string ids_[IDS_MAX];
  size_t next_ = 0;
};

inline Ids &done() {
  static Ids ids;
  return ids;
}

}  // namespace edgematrix
