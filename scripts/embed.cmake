# Writes a file's bytes as C: NAME, and NAME_length, as HEADER declares them.
#   cmake -D INPUT=file -D OUTPUT=file.c -D HEADER=declared.h -D NAME=bytes -P embed.cmake
file(READ ${INPUT} hex HEX)
string(LENGTH "${hex}" digits)
math(EXPR length "${digits} / 2")
string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
string(REGEX REPLACE "(....................................................................................................)"
  "\\1\n" bytes "${bytes}")
file(WRITE ${OUTPUT} "/* Made from a file by embed.cmake. */
#include \"${HEADER}\"

const uint8_t ${NAME}[] = {
${bytes}
};
const size_t ${NAME}_length = ${length};
")
