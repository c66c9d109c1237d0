package config

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"demarc/internal/account"
)

// ErrInvalid says that the configuration cannot be used; the message names file, line, column and what to write instead.
var ErrInvalid = errors.New("invalid configuration")

// Source says where the value of a key comes from.
type Source string

// The sources, weakest first.
const (
	FromDefault     Source = "default"
	FromFile        Source = "file"
	FromEnvironment Source = "environment"
)

// Effective is the configuration in force, and where each value comes from.
type Effective struct {
	Config  Config
	File    string            // the file read, or empty
	Sources map[string]Source // by key path
}

// Load reads the file (none when path is empty) and the environment, given as os.Environ returns it.
func Load(path string, environ []string) (Effective, error) {
	e := Effective{Config: Default(), File: path, Sources: map[string]Source{}}
	file := &ast.File{}
	if path != "" {
		content, err := os.ReadFile(path)
		if err != nil {
			return e, fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		if file, err = e.decode(content); err != nil {
			return e, err
		}
	}
	if err := e.environment(environ); err != nil {
		return e, err
	}
	for _, fault := range e.Config.faults() {
		return e, fmt.Errorf("%w: %s%s: %s", ErrInvalid, e.place(file, fault.key), fault.key, fault.text)
	}
	return e, nil
}

func (e *Effective) decode(content []byte) (*ast.File, error) {
	file, err := parser.ParseBytes(content, 0)
	if err != nil {
		return nil, e.atToken(err)
	}
	if err := e.scalars(file); err != nil {
		return nil, err
	}
	if !empty(file) {
		decoder := yaml.NewDecoder(bytes.NewReader(content), yaml.Strict())
		if err := decoder.Decode(&e.Config); err != nil {
			return nil, e.atToken(err)
		}
	}
	walk(reflect.ValueOf(&e.Config).Elem(), "", func(k key) {
		if node := find(file, k.path); node != nil {
			e.Sources[k.path] = FromFile
		}
	})
	return file, nil
}

// empty reports whether the file says nothing: it is blank or all comment.
func empty(file *ast.File) bool {
	for _, doc := range file.Docs {
		if doc.Body != nil && doc.Body.Type() != ast.CommentGroupType && doc.Body.Type() != ast.NullType {
			return false
		}
	}
	return true
}

// scalars looks at every single value ahead of the YAML library: its own errors have no place, or speak of Go, and it cuts fractions off.
func (e *Effective) scalars(file *ast.File) error {
	var first error
	walk(reflect.ValueOf(&e.Config).Elem(), "", func(k key) {
		node := find(file, k.path)
		if node == nil || first != nil {
			return
		}
		if why := misfit(k.value.Interface(), node); why != "" {
			at := node.GetToken().Position
			first = fmt.Errorf("%w: %s:%d:%d: %s: %s", ErrInvalid, e.File, at.Line, at.Column, k.path, why)
		}
	})
	return first
}

// misfit says why a node cannot be the value of a key, or nothing. Texts are not repeated: they may be secrets.
func misfit(value any, node ast.Node) string {
	text := node.GetToken().Value
	several := node.Type() == ast.SequenceType || node.Type() == ast.MappingType || node.Type() == ast.MappingValueType
	switch value.(type) {
	case time.Duration:
		if _, err := time.ParseDuration(text); err != nil {
			return fmt.Sprintf("%q is not a duration: write 90s, 15m or 2h", text)
		}
	case int:
		_, err := strconv.Atoi(text)
		if several || err != nil && (node.Type() == ast.StringType || node.Type() == ast.FloatType || node.Type() == ast.BoolType) {
			return fmt.Sprintf("%q is not a whole number", text)
		}
	case string, account.Secret:
		if several {
			return "write one text, and no list or mapping"
		}
	}
	return ""
}

// atToken turns the YAML library's error into one line with file, line and column.
func (e *Effective) atToken(err error) error {
	var located yaml.Error
	if errors.As(err, &located) && located.GetToken() != nil {
		at := located.GetToken().Position
		return fmt.Errorf("%w: %s:%d:%d: %s (demarc config lists every key)", ErrInvalid, e.File, at.Line, at.Column,
			located.GetMessage())
	}
	return fmt.Errorf("%w: %s: %w", ErrInvalid, e.File, err)
}

// place returns "file:line:column: " of a key that stands in the file, or the variable that set it.
func (e *Effective) place(file *ast.File, path string) string {
	list, _, _ := strings.Cut(path, "[")
	switch e.Sources[list] {
	case FromEnvironment:
		return Variable(path) + ": "
	case FromFile:
		if node := find(file, path); node != nil {
			at := node.GetToken().Position
			return fmt.Sprintf("%s:%d:%d: ", e.File, at.Line, at.Column)
		}
	}
	return ""
}

func find(file *ast.File, path string) ast.Node {
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		return nil
	}
	p, err := yaml.PathString("$." + path)
	if err != nil {
		return nil
	}
	node, err := p.FilterFile(file)
	if err != nil {
		return nil
	}
	return node
}

// Variable returns the environment variable of a key path.
func Variable(path string) string {
	return "DEMARC_" + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

// environment applies the variables; an unknown one with the prefix is an error, as an unknown key is.
func (e *Effective) environment(environ []string) error {
	keys := map[string]key{}
	walk(reflect.ValueOf(&e.Config).Elem(), "", func(k key) { keys[Variable(k.path)] = k })
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, "DEMARC_") || name == "DEMARC_CONFIG" {
			continue
		}
		k, ok := keys[name]
		if !ok {
			return fmt.Errorf("%w: the environment variable %s names no key (demarc config lists every key)", ErrInvalid, name)
		}
		if err := set(k.value, value); err != nil {
			return fmt.Errorf("%w: %s: %w", ErrInvalid, name, err)
		}
		e.Sources[k.path] = FromEnvironment
	}
	return nil
}

func set(v reflect.Value, text string) error {
	switch v.Interface().(type) {
	case string, account.Secret:
		v.SetString(text)
	case int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("%q is not a whole number", text)
		}
		v.SetInt(int64(n))
	case time.Duration:
		d, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf("%q is not a duration: write 90s, 15m or 2h", text)
		}
		v.SetInt(int64(d))
	case []string, []Role:
		parts := reflect.MakeSlice(v.Type(), 0, 1)
		for part := range strings.SplitSeq(text, ",") {
			if part = strings.TrimSpace(part); part != "" {
				parts = reflect.Append(parts, reflect.ValueOf(part).Convert(v.Type().Elem()))
			}
		}
		v.Set(parts)
	default:
		return errors.New("a list of objects is set in the file only")
	}
	return nil
}

// key is one leaf of the configuration.
type key struct {
	path  string
	help  string
	value reflect.Value
}

// walk visits every leaf in the order of the struct; lists are leaves.
func walk(v reflect.Value, prefix string, visit func(key)) {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		path := prefix + field.Tag.Get("yaml")
		if field.Type.Kind() == reflect.Struct {
			walk(v.Field(i), path+".", visit)
			continue
		}
		visit(key{path: path, help: field.Tag.Get("help"), value: v.Field(i)})
	}
}
