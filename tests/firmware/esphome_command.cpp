// Reads payloads, one a line in hexadecimal, and tells what `edgematrix.h` makes of each, one JSON object a line.
#include "edgematrix.h"

#include <iostream>

using edgematrix::Command;

static std::string bytes_of(const std::string &line) {
  std::string out;
  for (size_t i = 0; i + 1 < line.size(); i += 2)
    out.push_back(static_cast<char>(std::stoi(line.substr(i, 2), nullptr, 16)));
  return out;
}

static std::string spelled(const std::string &value) { return value; }
template<typename T> static std::string spelled(const T &value) { return edgematrix::payload(value); }

template<typename T> static void tell(const char *name, const std::string &payload) {
  Command command(payload);
  T value{};
  std::cout << ", \"" << name << "\": ";
  if (command.error.empty() && command.read(&value))
    std::cout << edgematrix::quoted(spelled(value));
  else
    std::cout << "null";
}

int main() {
  std::string line;
  while (std::getline(std::cin, line)) {
    const std::string payload = bytes_of(line);
    Command command(payload);
    std::cout << "{\"id\": " << edgematrix::quoted(command.id) << ", \"error\": " << edgematrix::quoted(command.error)
              << ", \"text\": " << edgematrix::quoted(command.text()) << ", \"answer\": " << edgematrix::quoted(command.answer());
    tell<bool>("bool", payload);
    tell<float>("number", payload);
    tell<int>("whole", payload);
    tell<std::string>("said", payload);
    std::cout << "}\n";
  }
}
