/* Whole numbers as text, as printf("%.14g") writes them, without printf.
 *
 * Scripts put numbers into keys and values more often than they do anything else with them, and
 * Lua asks the C library for each: half of the time of a loop of SETs. This header stands in
 * front of each of Lua's sources, which stay as they are. It takes the place of their calls of
 * sprintf: where a double is written in Lua's own format, is whole and short enough to be written
 * without an exponent, its digits are written here; everything else goes to sprintf as before.
 *
 * A caller gives a buffer of at least 32 bytes (LUAI_MAXNUMBER2STR), as it must for sprintf. */
#ifndef ANAX_LUA_NUMBER_H
#define ANAX_LUA_NUMBER_H

#include <math.h>
#include <stdio.h>
#include <string.h>

/* The first number that "%.14g" writes with an exponent. */
#define ANAX_EXPONENT_FROM 1e14

static inline int anax_is_short_whole(double number) {
  return number > -ANAX_EXPONENT_FROM && number < ANAX_EXPONENT_FROM &&
         number == (double)(long long)number && !(number == 0 && signbit(number));
}

static inline int anax_write_whole(char *into, long long number) {
  char digits[20];
  char *first = digits + sizeof digits;
  unsigned long long rest = number < 0 ? -(unsigned long long)number : (unsigned long long)number;
  int length;
  do {
    *--first = (char)('0' + rest % 10);
    rest /= 10;
  } while (rest != 0);
  if (number < 0) *--first = '-';
  length = (int)(digits + sizeof digits - first);
  memcpy(into, first, (size_t)length);
  into[length] = '\0';
  return length;
}

static inline int anax_write_double(char *into, const char *format, double number) {
  if (strcmp(format, "%.14g") == 0 && anax_is_short_whole(number))
    return anax_write_whole(into, (long long)number);
  return sprintf(into, format, number);
}

#define sprintf(into, format, value) \
  _Generic((value), double: anax_write_double, default: (sprintf))(into, format, value)

#endif
